import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect as connectSocket } from "node:net";
import { createHub, type Hub } from "everstream";
import { streamTopics } from "everstream/node";
import { createParser } from "everstream/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../session/eventually.ts";
import { numbers } from "./client.ts";

let hub: Hub;
let server: Server;
let port: number;
const responses: ServerResponse[] = [];

beforeEach(async () => {
  responses.length = 0;
  hub = createHub({ retention: { maxEvents: 1e6, maxBytes: 1e9 } });
  server = createServer((req, res) => {
    responses.push(res);
    const { searchParams } = new URL(req.url ?? "", "http://localhost");
    const topics = searchParams.getAll("topic");
    streamTopics(req, res, hub, { topics, from: "start", heartbeat: false }).catch(() => res.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, resolve));
  ({ port } = server.address() as AddressInfo);
});

afterEach(async () => {
  await hub.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

interface Part {
  readonly data: string[];
  readonly gaps: number;
  readonly lastEventId: string;
}

/** Reads a stream until `cut` bytes have come, wherever in a frame that is, or until `last` has. */
function readPart(path: string, lastEventId: string, cut: number, last: string): Promise<Part> {
  return new Promise((resolve, reject) => {
    const data: string[] = [];
    let gaps = 0;
    const parser = createParser({
      lastEventId,
      onEvent({ event, data: text }) {
        if (event === "sse:gap") gaps++;
        else if (!event.startsWith("sse:")) data.push(text);
      },
    });
    const headers: Record<string, string> = lastEventId === "" ? {} : { "last-event-id": lastEventId };
    const call = request({ port, path, headers, agent: false }, (response: IncomingMessage) => {
      let left = cut;
      response.on("data", (chunk: Buffer) => {
        if (left <= 0) return;
        parser.push(chunk.subarray(0, left));
        left -= chunk.length;
        if (left > 0 && data.at(-1) !== last) return;
        left = 0;
        response.destroy();
      });
      response.on("error", () => undefined);
      response.on("close", () => resolve({ data, gaps, lastEventId: parser.lastEventId }));
    });
    call.on("error", reject);
    call.end();
  });
}

describe("over real sockets", () => {
  const seed = Number(process.env.EVERSTREAM_SEED ?? Math.floor(Math.random() * 2 ** 31));

  it(`100 clients cut off at random bytes see every event once and in order (seed ${seed})`, async () => {
    let state = seed;
    const random = () => {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
      return state / 2 ** 31;
    };
    const count = 2000;
    const publishing = (async () => {
      for (let index = 0; index < count; index++) {
        await hub.publish(`t${index % 2}`, { data: index });
        if (index % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await hub.publish("t1", { data: "end" });
    })();
    const readers = Array.from({ length: 100 }, async () => {
      const seen: string[] = [];
      let lastEventId = "";
      while (seen.at(-1) !== '"end"') {
        const part = await readPart("/?topic=t1&topic=t0", lastEventId, 1 + random() * 20_000, '"end"');
        expect(part.gaps).toBe(0);
        seen.push(...part.data);
        lastEventId = part.lastEventId;
      }
      return seen;
    });
    for (const seen of await Promise.all(readers)) expect(seen).toEqual([...numbers(count), '"end"']);
    await publishing;
  });

  it("a client that stops reading costs the server no memory, and gets everything when it reads again", async () => {
    // The kernel swallows some four megabytes before anything shows.
    const text = "x".repeat(10_000);
    const count = 3000;
    const stalled = connectSocket(port, "127.0.0.1");
    stalled.write("GET /?topic=t HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await new Promise((resolve) => stalled.once("readable", resolve));
    const quick = readPart("/?topic=t", "", Number.POSITIVE_INFINITY, '"end"');
    for (let index = 0; index < count; index++) {
      await hub.publish("t", { data: { index, text } });
      if (index % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await hub.publish("t", { data: "end" });
    expect((await quick).data).toHaveLength(count + 1);
    const waiting = responses.map(({ socket }) => socket?.writableLength ?? 0);
    expect(Math.max(...waiting)).toBeGreaterThan(0);
    expect(Math.max(...waiting)).toBeLessThan(512 * 1024);

    const chunks: string[] = [];
    stalled.setEncoding("latin1");
    for await (const chunk of stalled) {
      chunks.push(chunk);
      if (chunks.slice(-2).join("").includes('"end"')) break;
    }
    const received = chunks.join("");
    const seen = [...received.matchAll(/"index":(\d+)/g)].map(([, index]) => Number(index));
    // A chunk's frame may cut a figure in two; all others are there, once and in order.
    expect(seen.length).toBeGreaterThan(count - 50);
    expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
    expect(received).not.toContain("sse:gap");
  });

  it("a finished topic's end reaches the client, and its return is answered by 204", async () => {
    await hub.publish("t", { data: "last" }, { finish: true });
    const { lastEventId, data } = await readPart("/?topic=t", "", Number.POSITIVE_INFINITY, "");
    expect(data).toEqual(['"last"']);
    const response = await fetch(`http://localhost:${port}/?topic=t`, {
      headers: { "last-event-id": lastEventId },
    });
    expect(response.status).toBe(204);
  });

  it("an idle client of a server that closes leaves with the position, not with the one it came with", async () => {
    const idle = readPart("/?topic=quiet", "", Number.POSITIVE_INFINITY, "");
    await until(() => hub.stats().sessions === 1);
    const position = await hub.publish("other", { data: 1 });
    server.close();
    expect(await idle).toEqual({ data: [], gaps: 0, lastEventId: position });
    expect(hub.stats().closed).toEqual({ drained: 1 });
  });

  it("refusals reach Node's clients too", async () => {
    const none = await fetch(`http://localhost:${port}/`);
    expect([none.status, (await none.json()).code]).toEqual([400, "INVALID_TOPIC"]);
    const head = await fetch(`http://localhost:${port}/?topic=t`, { method: "HEAD" });
    expect([head.status, head.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
    expect(hub.stats().sessions).toBe(0);
  });
});
