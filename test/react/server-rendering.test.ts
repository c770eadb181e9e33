import { useEventStream, useEventStreamStatus, useSSE } from "everstream/react";
import { createElement, StrictMode } from "react";
import { renderToString } from "react-dom/server";
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
