// `streamEvents`, for servers of the Fetch kind, and Hono's adapter where no Node server lies beneath.
import { createServer } from "node:http";
import { getRequestListener, type HttpBindings } from "@hono/node-server";
import { type CloseReason, type EventStreamWriter, streamEvents } from "everstream";
import { streamSSE } from "everstream/hono";
import { collectEvents, eventsOf, rawRequest, serveForTest } from "everstream/testing";
import { Hono } from "hono";
import { afterEach, describe, expect, test, vi } from "vitest";
import { pulseSize } from "../../src/session/pulse.ts";
import { type Deferred, deferred } from "../session/deferred.ts";
import { eventually } from "../session/eventually.ts";
import { collectGarbage } from "../session/garbage.ts";

afterEach(() => eventually(() => expect(pulseSize()).toBe(0)));

const URL = "http://test/events";

/** A callback that stays open and tells how it ended. */
function openEnded(reason: Deferred<CloseReason>): (stream: EventStreamWriter) => Promise<void> {
  return async (stream) => {
    void stream.closeReason.then(reason.resolve);
    await stream.writeSSE({ data: "open" });
    await new Promise(() => undefined);
  };
}

describe("the response", () => {
  test("has an event stream's headers, and the user's win", async () => {
    const headers = {
      "cache-control": "private",
      "X-Mine": "1",
      "Content-Type": "text/event-stream; charset=utf-8",
    };
    for (const given of [headers, new Headers(headers), Object.entries(headers)]) {
      const response = streamEvents(new Request(URL), () => undefined, { headers: given as HeadersInit });
      expect(response.status).toBe(200);
      expect(Object.fromEntries(response.headers)).toEqual({
        "cache-control": "private",
        "content-type": "text/event-stream; charset=utf-8",
        "x-accel-buffering": "no",
        "x-mine": "1",
      });
      await response.text();
    }
  });

  test("a wrong option throws before anything is made", () => {
    const callback = vi.fn();
    const options = { maxPendingBytes: Number.NaN };
    expect(() => streamEvents(new Request(URL), callback, options)).toThrow(
      expect.objectContaining({ code: "INVALID_OPTION" }),
    );
    expect(callback).not.toHaveBeenCalled();
  });

  test("the cursor comes from the header, which holds bytes, or from the query", async () => {
    const seen: unknown[] = [];
    const open = (url: string, cursor?: string): Promise<string> =>
      streamEvents(
        new Request(url, cursor === undefined ? {} : { headers: { "Last-Event-ID": cursor } }),
        (stream) => void seen.push(stream.lastEventId),
      ).text();
    await open(URL);
    await open(URL, Buffer.from("é").toString("latin1"));
    await open(`${URL}?lastEventId=a%2Fb&x=1`);
    await open(`${URL}?lastEventId=`);
    expect(seen).toEqual([undefined, "é", "a/b", undefined]);
  });
});

describe("the end", () => {
  test("a signal that is aborted breaks the body off", async () => {
    const [controller, reason] = [new AbortController(), deferred<CloseReason>()];
    const response = streamEvents(new Request(URL, { signal: controller.signal }), openEnded(reason));
    const events = eventsOf(response);
    expect(await events.next()).toMatchObject({ value: { data: "open" } });
    const next = events.next();
    controller.abort();
    await expect(next).rejects.toMatchObject({ code: "STREAM_ENDED" });
    expect(await reason.promise).toBe("disconnected");
  });

  test("a signal that was aborted before is seen too", async () => {
    const reason = deferred<CloseReason>();
    const request = new Request(URL, { signal: AbortSignal.abort() });
    const response = streamEvents(request, openEnded(reason));
    expect(await reason.promise).toBe("disconnected");
    await expect(response.text()).rejects.toMatchObject({ code: "STREAM_ENDED" });
  });

  test("a signal is seen though nobody holds the request any more", async () => {
    const [controller, reason] = [new AbortController(), deferred<CloseReason>()];
    const open = (): Response => {
      // Whatever the callback uses would keep the request; this one uses nothing.
      return streamEvents(new Request(URL, { signal: controller.signal }), openEnded(reason));
    };
    const response = open();
    await collectGarbage();
    controller.abort();
    expect(await reason.promise).toBe("disconnected");
    await expect(response.text()).rejects.toMatchObject({ code: "STREAM_ENDED" });
  });

  test("a body that is cancelled without an abort is seen", async () => {
    const reason = deferred<CloseReason>();
    const request = new Request(URL);
    const response = streamEvents(request, openEnded(reason));
    await response.body?.cancel();
    expect(await reason.promise).toBe("cancelled");
    expect(request.signal.aborted).toBe(true);
  });

  test("a body that nobody reads ends by the stall timeout", async () => {
    const reason = deferred<CloseReason>();
    streamEvents(new Request(URL), openEnded(reason), { stallTimeout: 100 });
    expect(await reason.promise).toBe("stalled");
  });

  test("a client that leaves @hono/node-server is no fault for the console", async () => {
    const reason = deferred<CloseReason>();
    const told = vi.spyOn(console, "error").mockReturnValue();
    const server = await serveForTest(
      createServer(getRequestListener((request) => streamEvents(request, openEnded(reason)))),
    );
    const client = await rawRequest(server);
    await client.until("open");
    client.destroy();
    expect(await reason.promise).toBe("disconnected");
    await server.close();
    expect(told).not.toHaveBeenCalled();
    told.mockRestore();
  });

  test("a frozen request is no obstacle", async () => {
    const request = Object.freeze(new Request(URL));
    const events = await collectEvents(streamEvents(request, (stream) => stream.send("x")));
    expect(events).toHaveLength(1);
  });

  test("a listener on the server's signal is gone with the stream", async () => {
    const { signal } = new AbortController();
    const request = { method: "GET", url: URL, headers: new Headers(), signal } as Request;
    const [add, remove] = [vi.spyOn(signal, "addEventListener"), vi.spyOn(signal, "removeEventListener")];
    await streamEvents(request, () => undefined).text();
    expect(add).toHaveBeenCalledTimes(1);
    expect(remove.mock.calls[0]?.slice(0, 2)).toEqual(add.mock.calls[0]?.slice(0, 2));
  });
});

describe("Hono", () => {
  test("app.request() gives the events, and its signal ends the stream", async () => {
    const [controller, reason] = [new AbortController(), deferred<CloseReason>()];
    const app = new Hono().get("/", (c) => streamSSE(c, openEnded(reason)));
    const response = await app.request("/", { signal: controller.signal });
    await collectEvents(response.clone(), { count: 1 });
    controller.abort();
    expect(await reason.promise).toBe("disconnected");
  });

  test("under Node, too, a signal that somebody put on the request is heeded", async () => {
    const [controller, reason] = [new AbortController(), deferred<CloseReason>()];
    const app = new Hono<{ Bindings: HttpBindings }>().get("/", (c) => streamSSE(c, openEnded(reason)));
    const listener = getRequestListener((request, env) =>
      app.fetch(new Request(request, { signal: controller.signal }), env as HttpBindings),
    );
    const server = await serveForTest(listener);
    const raw = await rawRequest(server);
    await raw.until("open");
    controller.abort();
    expect(await reason.promise).toBe("disconnected");
    expect(await raw.ended).toBe("cut");
    await server.close();
  });
});
