import { EverstreamProvider, useEventStream, useEventStreamStatus, useRun, useSSE } from "everstream/react";
import { createElement, StrictMode, Suspense } from "react";
import { renderToReadableStream, renderToString } from "react-dom/server.edge";
import { expect, test, vi } from "vitest";

function Clock(): string {
  const { data, error, isConnected } = useSSE<{ time: number }>("/api/events");
  return JSON.stringify({ data, error, isConnected });
}

function Idle(): string {
  return JSON.stringify(useSSE(null));
}

function Log(): string {
  const { data, status } = useEventStream("/api/events", {
    initial: ["nothing yet"],
    reduce: (all, event) => [...all, event.data],
  });
  return JSON.stringify({ data, state: status.state });
}

function Status(): string {
  return useEventStreamStatus({ url: "/api/events", headers: { "x-a": "1" } }).state;
}

function Quote(): string {
  const { data, status } = useEventStream("/api/quotes", {
    initial: "before the first event",
    reduce: (_, event) => event.data,
    suspense: true,
  });
  const { run } = useRun("/runs", { id: "a" });
  return JSON.stringify({ data, state: status.state, run: run ?? null });
}

function render(component: () => string): string {
  return renderToString(createElement(StrictMode, null, createElement(component))).replaceAll("&quot;", '"');
}

test("on a server, without a window, hooks render their initial values and open nothing", () => {
  const fetch = vi.spyOn(globalThis, "fetch");
  const timer = vi.spyOn(globalThis, "setTimeout");
  expect("window" in globalThis).toBe(false);
  const empty = '{"data":null,"error":null,"isConnected":false}';
  expect(render(Clock)).toBe(empty);
  expect(render(Idle)).toBe(empty);
  expect(render(Log)).toBe('{"data":["nothing yet"],"state":"idle"}');
  expect(render(Status)).toBe("idle");
  expect(fetch).not.toHaveBeenCalled();
  expect(timer).not.toHaveBeenCalled();
  fetch.mockRestore();
  timer.mockRestore();
});

test("on a server what would suspend renders its initial value, below a provider or not", async () => {
  const fetch = vi.spyOn(globalThis, "fetch");
  const waiting = createElement(Suspense, { fallback: "waiting" }, createElement(Quote));
  const provided = createElement(
    EverstreamProvider,
    { baseUrl: "https://api.example", linger: 1000 },
    waiting,
  );
  const expected = '{"data":"before the first event","state":"idle","run":null}';
  for (const tree of [waiting, provided]) {
    expect(renderToString(tree).replaceAll("&quot;", '"')).toContain(expected);
    const stream = await renderToReadableStream(tree);
    await stream.allReady;
    expect((await new Response(stream).text()).replaceAll("&quot;", '"')).toContain(expected);
  }
  expect(fetch).not.toHaveBeenCalled();
  fetch.mockRestore();
});
