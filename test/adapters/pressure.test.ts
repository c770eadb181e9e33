// Clients that read slowly or not at all (DESIGN 5.4, 6), and servers that close, held against every way of serving.
import type { CloseReason, EventStreamWriter, HandlerOptions } from "everstream";
import { afterEach, describe, expect, test } from "vitest";
import { pulseSize } from "../../src/session/pulse.ts";
import { deferred } from "../session/deferred.ts";
import { eventually } from "../session/eventually.ts";
import { type Client, type Serving, ways } from "./ways.ts";

const LINE = `${"x".repeat(65_535)}\n`;
/** More than any kernel takes in a stalled client's place. */
const MUCH = 24 * 1024 * 1024;
const open: Serving[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((serving) => serving.dispose()));
  await eventually(() => expect(pulseSize()).toBe(0));
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What a writer has come to. */
interface Progress {
  written: number;
  /** The writer has returned. */
  done: Promise<void>;
  reason: Promise<CloseReason>;
  stream: EventStreamWriter;
}

type Writer = (stream: EventStreamWriter, progress: Progress) => void | Promise<void>;

describe.each(ways)("$name", (way) => {
  /** Serves a writer that begins when its client has been told to pause, where it shall. */
  async function start(
    writer: Writer,
    options?: HandlerOptions,
    isPaused = true,
  ): Promise<{ client: Client; serving: Serving; progress: Progress }> {
    const begin = deferred();
    const all: Progress[] = [];
    const serving = await way.serve(async (stream) => {
      const done = deferred();
      const progress = { written: 0, stream, reason: stream.closeReason, done: done.promise };
      all.push(progress);
      await begin.promise;
      await writer(stream, progress);
      done.resolve();
    }, options);
    open.push(serving);
    const client = await serving.open();
    await client.until(": everstream");
    if (isPaused) client.pause();
    begin.resolve();
    return { client, serving, progress: all[0] as Progress };
  }

  const awaitEachWrite =
    (total: number): Writer =>
    async (stream, progress) => {
      while (progress.written < total && !stream.closed) {
        await stream.write(LINE);
        progress.written += LINE.length;
      }
    };

  /** Resolves when the writer has stood still for a good number of turns. */
  async function blocked(progress: Progress): Promise<number> {
    let last = -1;
    for (let still = 0; still < 100; still++) {
      if (progress.written !== last) still = 0;
      last = progress.written;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return last;
  }

  test("an awaited writer waits for a client that does not read, and goes on when it does", async () => {
    const { client, progress } = await start(awaitEachWrite(MUCH));
    expect(await blocked(progress)).toBeLessThan(MUCH);
    expect(progress.stream.closed).toBe(false);
    client.resume();
    expect(await client.ended).toBe("complete");
    expect(client.body.length).toBe(client.body.indexOf("\n\n") + 2 + MUCH);
    expect(client.body.endsWith(LINE)).toBe(true);
    expect(await progress.reason).toBe("finished");
  });

  test("an awaited write returns when the client leaves instead of reading on", async () => {
    const { client, progress } = await start(awaitEachWrite(MUCH));
    expect(await blocked(progress)).toBeLessThan(MUCH);
    client.destroy();
    expect(await progress.reason).toBe(way.left);
    await progress.done;
    await eventually(() => expect(pulseSize()).toBe(0));
  });

  test("a client that takes nothing for the stall timeout is cut off", async () => {
    const { client, progress } = await start(awaitEachWrite(MUCH), { stallTimeout: 200, heartbeat: false });
    expect(await progress.reason).toBe("stalled");
    expect(progress.stream.signal.aborted).toBe(true);
    expect(progress.written).toBeLessThan(MUCH);
    client.resume();
    expect(await client.ended).toBe("cut");
  });

  const loads: [string, number][] = [["one large event", 1]];
  if (way.name === "node:http") loads.push(["many events", 400]);
  test.each(loads)(
    "a client that takes %s slowly but steadily is not, however long it takes",
    async (_name, count) => {
      const { client, progress } = await start(
        async (stream) => {
          const data = "x".repeat(MUCH / count);
          for (let written = 0; written < count; written++) void stream.writeSSE({ data });
        },
        { stallTimeout: 600, maxPendingBytes: 2 * MUCH },
      );
      // It takes longer than the stall timeout for the whole, and never as long for what the kernel waits for.
      while (client.end === undefined) {
        const { received } = client;
        client.resume();
        await Promise.race([
          client.ended,
          client.until((now) => now.received > received + 200_000).catch(() => "ended"),
        ]);
        client.pause();
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      expect(client.end).toBe("complete");
      expect(client.received).toBeGreaterThan(MUCH);
      expect(await progress.reason).toBe("finished");
    },
  );

  test("a writer that does not wait is bounded, and its stalled client cut off", async () => {
    const { client, progress } = await start(
      async (stream, progress) => {
        while (!stream.closed) {
          void stream.write(LINE);
          progress.written += LINE.length;
          await turn();
        }
      },
      { maxPendingBytes: 1024 * 1024 },
    );
    expect(await progress.reason).toBe("slow");
    expect(progress.written).toBeLessThan(MUCH);
    client.resume();
    expect(await client.ended).toBe("cut");
  });

  // What a Fetch server has taken over is out of our hands.
  const ours = way.seesServer || way.carrier === "memory";
  if (ours)
    test("a stalled client keeps nothing open after the callback's end", async () => {
      const { client, progress } = await start(
        async (stream, progress) => {
          for (; progress.written < MUCH; progress.written += LINE.length) void stream.write(LINE);
        },
        { maxPendingBytes: 2 * MUCH, stallTimeout: 200 },
      );
      expect(await progress.reason).toBe("finished");
      expect(pulseSize()).toBe(1);
      await eventually(() => expect(pulseSize()).toBe(0));
      client.resume();
      expect(await client.ended).toBe("cut");
    });

  test("a stalled client costs the others nothing", async () => {
    const { client, serving } = await start(awaitEachWrite(MUCH));
    const other = await serving.open();
    expect(await other.ended).toBe("complete");
    expect(other.body.length).toBeGreaterThan(MUCH);
    expect(client.end).toBeUndefined();
  });

  // A Fetch server can't be seen closing; `closeStreams` is for it.
  if (way.seesServer)
    test("a server that closes ends its streams by itself, and can close", async () => {
      // The stall timeout sets the pace of looking, too.
      const { client, serving, progress } = await start(
        () => new Promise(() => undefined),
        { stallTimeout: 200 },
        false,
      );
      await serving.closeServer?.();
      expect(await progress.reason).toBe("drained");
      expect(await client.ended).toBe("complete");
    });
});
