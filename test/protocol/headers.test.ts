import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { EVENT_STREAM_HEADERS, encodeLastEventId, readLastEventId } from "everstream/protocol";
import fc from "fast-check";
import { afterEach, expect, it, vi } from "vitest";

afterEach(() => {
  vi.unstubAllGlobals();
});

const byteString = (text: string): string => Buffer.from(text, "utf8").toString("latin1");

it("the response's headers keep caches and proxies from holding events back, and hold nothing hop-by-hop", () => {
  expect(EVENT_STREAM_HEADERS).toEqual({
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
  });
  expect(Object.isFrozen(EVENT_STREAM_HEADERS)).toBe(true);
});

it("a request without a cursor has none", () => {
  expect(readLastEventId(null)).toBeUndefined();
  expect(readLastEventId(undefined)).toBeUndefined();
  expect(readLastEventId("")).toBeUndefined();
});

it("a header's bytes are read as UTF-8", () => {
  expect(readLastEventId("1-a")).toBe("1-a");
  expect(readLastEventId(byteString("é…😀"))).toBe("é…😀");
  expect(readLastEventId(byteString("\ufeffa"))).toBe("\ufeffa");
});

it("a header that the runtime decoded already stays as it is", () => {
  expect(readLastEventId("…")).toBe("…");
  expect(readLastEventId("é")).toBe("é");
});

it("what can be sent comes back as it was, through the platform's Headers too", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 40 }), (id) => {
      const value = encodeLastEventId(id);
      if (value === undefined) return;
      expect(readLastEventId(new Headers({ "last-event-id": value }).get("last-event-id"))).toBe(id);
    }),
  );
});

it("what can be sent is accepted by fetch and arrives at a Node server as it was", async () => {
  const server = createServer((incoming, response) => {
    response.end(readLastEventId(incoming.headers["last-event-id"] as string | undefined));
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  try {
    for (const id of ["1-a", "é…😀", "a\tb", "\u0080\u00a0", "x".repeat(4096)]) {
      const value = encodeLastEventId(id) as string;
      const answer = await fetch(`http://127.0.0.1:${port}`, { headers: { "last-event-id": value } });
      expect(await answer.text()).toBe(id);
    }
  } finally {
    server.close();
  }
});

it("an id that no header carries is not sent", () => {
  for (const id of [
    "",
    " a",
    "a ",
    "\ta",
    "a\t",
    "a\0",
    "a\r",
    "a\nb",
    "\x01",
    "\x1f",
    "\x7f",
    "\ud800",
    "a\udc00b",
  ]) {
    expect(encodeLastEventId(id), JSON.stringify(id)).toBeUndefined();
  }
  expect(encodeLastEventId("x".repeat(4097))).toBeUndefined();
  expect(encodeLastEventId("é".repeat(2049))).toBeUndefined();
});

it("where fetch encodes headers itself, the id is handed over as it is", () => {
  vi.stubGlobal("navigator", { userAgent: "Cloudflare-Workers" });
  expect(encodeLastEventId("é…")).toBe("é…");
});

it("control characters are refused because Node's http and fetch refuse them", async () => {
  expect(() => request({ headers: { "last-event-id": "\x01" } })).toThrow();
  await expect(fetch("http://127.0.0.1:9", { headers: { "last-event-id": "\x01" } })).rejects.toThrow();
});
