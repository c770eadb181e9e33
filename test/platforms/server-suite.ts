// The server's core on a runtime's own server: clients are this process's fetch and plain sockets.
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { collectEvents } from "../../src/testing/index.ts";

/** @param url Where the runtime's server is, once it runs. */
export function describeServer(what: string, url: () => string): void {
  const get = (path: string, init?: RequestInit): Promise<Response> => fetch(`${url()}${path}`, init);
  const json = async (path: string, init?: RequestInit): Promise<unknown> => (await get(path, init)).json();
  const name = (): string => crypto.randomUUID();

  // What polls needs its own test's `expect`: the global one has none as soon as another test has ended.
  describe.concurrent(`${what}: the server's core`, () => {
    test("streamEvents: headers, events in order, an end", async () => {
      const response = await get("/count?to=3");
      expect(response.headers.get("content-type")).toBe("text/event-stream");
      expect(response.headers.get("cache-control")).toBe("no-cache, no-transform");
      const events = await collectEvents(response);
      expect(events.map(({ event, data }) => [event, data])).toEqual(
        [1, 2, 3].map((count) => ["count", `{"count":${count}}`]),
      );
    });

    test("streamEvents: the first event does not wait for the second", async () => {
      const [first] = await collectEvents(await get("/count?to=2&pause=100000"), {
        count: 1,
        timeout: 20_000,
      });
      expect(first?.data).toBe('{"count":1}');
    });

    test("streamEvents: writes that nobody awaits leave in order, those of timers too", async () => {
      const events = await collectEvents(await get("/burst"), { timeout: 20_000 });
      expect(events.map(({ data }) => data)).toEqual([
        ...Array.from({ length: 1000 }, (_, i) => `${i}`),
        "late",
      ]);
    });

    test("streamEvents: the cursor, in any characters; heartbeats while nothing is written", async () => {
      const response = await get("/quiet", {
        headers: { "Last-Event-ID": Buffer.from("…é").toString("latin1") },
      });
      const seen: string[] = [];
      for await (const text of chunksOf(response)) {
        seen.push(text);
        if (seen.join("").split(":\n\n").length > 3) break;
      }
      expect(seen.join("")).toContain('event: cursor\ndata: "…é"\n\n');
    });

    test("streamEvents: heartbeats go on after the request that came before has ended", async () => {
      const first = get("/quiet");
      const second = get("/quiet");
      await Promise.all([(await first).body?.cancel()]);
      let text = "";
      for await (const chunk of chunksOf(await second)) {
        text += chunk;
        if (text.split(":\n\n").length > 5) break;
      }
      expect(text).toContain("event: cursor\ndata: null\n\n");
    });

    test("streamEvents: a client that leaves ends its loop, and nobody else's", async ({ expect }) => {
      const id = name();
      const staying = await get(`/endless?name=${name()}`);
      const leaving = await get(`/endless?name=${id}`);
      await collectEvents(leaving, { count: 3, timeout: 20_000 });
      await expect.poll(() => json(`/ends?name=${id}`), { timeout: 20_000 }).toBe("aborted");
      expect(await collectEvents(staying, { count: 100, timeout: 20_000 })).toHaveLength(100);
    });

    test("streamEvents: a client that does not read holds up its own writer, and is cut", async ({
      expect,
      onTestFinished,
    }) => {
      const id = name();
      const { host, hostname, port } = new URL(url());
      // Nothing listens for its data, so nothing is read.
      const socket = connect(Number(port), hostname);
      onTestFinished(() => void socket.destroy());
      socket.write(`GET /flood?name=${id} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      const told = (): Promise<unknown> => json(`/ends?name=${id}`);
      await expect.poll(told, { timeout: 20_000, interval: 200 }).toBe("stalled");
    });

    test("createHub and respond: what was missed, then live, each once; a finished topic ends", async () => {
      const topic = `t-${name()}`;
      const publish = (data: unknown): Promise<unknown> =>
        json(`/hub/publish?topics=${topic}`, { method: "POST", body: JSON.stringify(data) });
      const [first] = (await publish(1)) as string[];
      await publish(2);
      const response = await get(`/hub/events?topics=${topic}`, {
        headers: { "Last-Event-ID": first as string },
      });
      const data: string[] = [];
      const reading = collectEvents(response, {
        timeout: 20_000,
        until: (event) => {
          if (event.event === "n") data.push(event.data);
          return event.event === "sse:end";
        },
      });
      for (let count = 3; count <= 50; count++) await publish(count);
      await get(`/hub/finish?topics=${topic}`);
      const end = (await reading).at(-1);
      expect(data).toEqual(Array.from({ length: 49 }, (_, i) => `${i + 2}`));
      const again = await get(`/hub/events?topics=${topic}`, {
        headers: { "Last-Event-ID": end?.lastEventId as string },
      });
      expect(again.status).toBe(204);
    });

    test("createHub and respond: sessions that leave are gone, and cost the others nothing", async () => {
      const topic = `t-${name()}`;
      const clients = await Promise.all(Array.from({ length: 20 }, () => get(`/hub/events?topics=${topic}`)));
      const [staying, ...leaving] = clients as [Response, ...Response[]];
      for (const client of leaving) await client.body?.cancel();
      const reading = collectEvents(staying, { until: ({ event }) => event === "n", timeout: 20_000 });
      await json(`/hub/publish?topics=${topic}`, { method: "POST", body: '"x"' });
      expect((await reading).at(-1)?.data).toBe('"x"');
    });
  });
}

async function* chunksOf(response: Response): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>)
    yield decoder.decode(chunk, { stream: true });
}
