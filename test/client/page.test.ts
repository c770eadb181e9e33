import { getEventListeners } from "node:events";
import { openEventStream } from "everstream/client";
import { afterAll, beforeEach, describe, expect, test, vi } from "vitest";
import { closing, reached, recordData, startServer } from "./server.ts";

let window: EventTarget;
let page: { hidden: boolean };

/** The document's event, which bubbles to the window. */
function show(visibilityState: "visible" | "hidden"): void {
  page.hidden = visibilityState === "hidden";
  window.dispatchEvent(new Event("visibilitychange"));
}

beforeEach(() => {
  window = new EventTarget();
  page = { hidden: false };
  vi.stubGlobal("addEventListener", window.addEventListener.bind(window));
  vi.stubGlobal("document", page);
});
// Not after each test: streams are closed after that, and take their listeners away then.
afterAll(() => void vi.unstubAllGlobals());

const LONG = { minDelay: 1e6, maxDelay: 1e6 };

function transition(type: "pagehide" | "pageshow", persisted: boolean): Event {
  return Object.assign(new Event(type), { persisted });
}

describe("a stream that waits is woken", () => {
  test.each([
    ["online", () => window.dispatchEvent(new Event("online"))],
    ["pageshow", () => window.dispatchEvent(transition("pageshow", false))],
    ["visibilitychange", () => show("visible")],
  ])("by %s", async (_, wake) => {
    const server = await startServer((exchange, index) => {
      if (index > 0) exchange.open("data: back\n\n");
      else exchange.cut();
    });
    const stream = closing(openEventStream(server.url, LONG));
    const data = recordData(stream);
    await reached(stream, "waiting");
    wake();
    expect(stream.status).toMatchObject({ state: "connecting", reason: "wake" });
    expect(await data.count(1)).toEqual(["back"]);
  });

  test("but not before a Retry-After is over", async () => {
    const server = await startServer(({ response }) =>
      response.writeHead(503, { "retry-after": "900" }).end(),
    );
    const stream = closing(openEventStream(server.url, LONG));
    recordData(stream);
    await reached(stream, "waiting");
    show("hidden");
    show("visible");
    window.dispatchEvent(new Event("online"));
    expect(stream.status.state).toBe("waiting");
    expect(server.exchanges).toHaveLength(1);
  });
});

test.each([
  ["hidden", () => show("hidden"), () => show("visible")],
  [
    "in the back/forward cache",
    () => window.dispatchEvent(transition("pagehide", true)),
    () => window.dispatchEvent(transition("pageshow", true)),
  ],
])("a Retry-After, and the count of attempts, outlast a page that is %s", async (_, leave, comeBack) => {
  const server = await startServer(({ response }) => response.writeHead(503, { "retry-after": "900" }).end());
  const stream = closing(openEventStream(server.url, { ...LONG, pauseWhenHidden: true }));
  recordData(stream);
  const { nextTryAt } = await reached(stream, "waiting");
  for (let times = 0; times < 3; times++) {
    leave();
    expect(stream.status).toMatchObject({ state: "paused", attempt: 1, nextTryAt });
    comeBack();
    expect(stream.status).toMatchObject({ state: "waiting", attempt: 1, nextTryAt });
  }
  expect(server.exchanges).toHaveLength(1);
  leave();
  const now = vi.spyOn(Date, "now").mockReturnValue(nextTryAt as number);
  comeBack();
  now.mockRestore();
  expect(stream.status).toMatchObject({ state: "connecting", attempt: 2 });
  await server.exchange(1);
});

test("a page that comes back ends a wait of our own, which counts as an attempt all the same", async () => {
  const server = await startServer((exchange) => exchange.cut());
  const stream = closing(openEventStream(server.url, { ...LONG, pauseWhenHidden: true, maxRetries: 2 }));
  recordData(stream);
  for (let attempt = 1; attempt <= 2; attempt++) {
    expect(await reached(stream, "waiting")).toMatchObject({ attempt });
    show("hidden");
    show("visible");
    expect(stream.status).toMatchObject({ state: "connecting", attempt: attempt + 1 });
  }
  expect(await reached(stream, "failed")).toMatchObject({ attempt: 3 });
});

test("a stream that is open is looked after: timers stood still while the machine slept", async () => {
  const server = await startServer((exchange) =>
    exchange.open(": everstream heartbeat=60000\n\ndata: x\n\n"),
  );
  const stream = closing(openEventStream(server.url, LONG));
  await recordData(stream).count(1);
  const now = vi.spyOn(Date, "now");
  window.dispatchEvent(new Event("online"));
  expect(stream.status.state).toBe("open");
  now.mockReturnValue(Date.now() + 3_600_000);
  window.dispatchEvent(new Event("online"));
  expect(stream.status.failure?.code).toBe("STALLED");
  now.mockRestore();
});

describe("a page that goes away", () => {
  test("closes its connection for the back/forward cache and resumes when it is shown again", async () => {
    const server = await startServer((exchange, index) => exchange.open(`id: ${index}\ndata: ${index}\n\n`));
    const stream = closing(openEventStream(server.url, LONG));
    const data = recordData(stream);
    await data.count(1);
    window.dispatchEvent(transition("pagehide", true));
    // Browsers say so after `pagehide`, and that it is shown before `pageshow`.
    show("hidden");
    expect(stream.status.state).toBe("paused");
    await (await server.exchange(0)).gone;
    show("visible");
    window.dispatchEvent(transition("pageshow", true));
    expect(await data.count(2)).toEqual(["0", "1"]);
    expect((await server.exchange(1)).request.headers["last-event-id"]).toBe("0");
  });

  test("for good, or with work that can't be resumed, keeps the connection as long as there is one", async () => {
    const server = await startServer((exchange) => exchange.open("data: x\n\n"));
    const stream = closing(openEventStream(server.url));
    const post = closing(openEventStream(server.url, { method: "POST", pauseWhenHidden: true }));
    await Promise.all([recordData(stream).count(1), recordData(post).count(1)]);
    window.dispatchEvent(transition("pagehide", false));
    expect(stream.status.state).toBe("open");
    show("hidden");
    window.dispatchEvent(transition("pagehide", true));
    expect(post.status.state).toBe("open");
    expect(stream.status.state).toBe("paused");
  });

  test("pauses while hidden where that was asked for, from the beginning on", async () => {
    const server = await startServer((exchange, index) => exchange.open(`id: ${index}\ndata: ${index}\n\n`));
    page.hidden = true;
    const stream = closing(openEventStream(server.url, { pauseWhenHidden: true }));
    const data = recordData(stream);
    expect(stream.status.state).toBe("paused");
    window.dispatchEvent(transition("pageshow", false));
    expect(stream.status.state).toBe("paused");
    window.dispatchEvent(new Event("online"));
    expect(stream.status.state).toBe("paused");
    show("visible");
    await data.count(1);
    show("hidden");
    expect(stream.status.state).toBe("paused");
    show("visible");
    expect(await data.count(2)).toEqual(["0", "1"]);
  });

  test("hears nothing of streams that are closed", async () => {
    const server = await startServer((exchange) => exchange.open());
    const stream = openEventStream(server.url);
    recordData(stream);
    await reached(stream, "open");
    const types = ["online", "pagehide", "pageshow", "visibilitychange"];
    const count = (): number[] => types.map((type) => getEventListeners(window, type).length);
    expect(count()).toEqual([1, 1, 1, 1]);
    stream.close();
    expect(count()).toEqual([0, 0, 0, 0]);
  });
});
