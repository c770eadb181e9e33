// When a heartbeat is sent, and a client taken for stalled, on a clock that the test turns.
import { type EventStreamWriter, type StreamOptions, streamEvents } from "everstream";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { pulseSize } from "../../src/session/pulse.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance", "setInterval", "clearInterval", "setTimeout", "clearTimeout"] });
});

afterEach(() => {
  expect(pulseSize()).toBe(0);
  vi.useRealTimers();
});

/** An open stream whose text is taken as it comes. */
class Open {
  text = "";
  stream!: EventStreamWriter;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;

  constructor(options?: StreamOptions, request = new Request("http://test/")) {
    const response = streamEvents(
      request,
      (stream) => {
        this.stream = stream;
        return new Promise(() => undefined);
      },
      options,
    );
    this.#reader = (response.body as ReadableStream<Uint8Array>).getReader();
  }

  async readAll(): Promise<void> {
    const decoder = new TextDecoder();
    for (let part = await this.#reader.read(); !part.done; part = await this.#reader.read()) {
      this.text += decoder.decode(part.value);
    }
  }

  /** Takes what was written since, the opening comment aside. */
  take(): string {
    const text = this.text.replace(/^: everstream heartbeat=\d+\n\n/, "");
    this.text = "";
    return text;
  }

  async leave(): Promise<void> {
    await this.#reader.cancel();
  }
}

async function open(options?: StreamOptions): Promise<Open> {
  const opened = new Open(options);
  void opened.readAll();
  await turns();
  opened.take();
  return opened;
}

/** Some turns of the event loop, which real time rules. */
async function turns(): Promise<void> {
  for (let count = 0; count < 5; count++) await new Promise((resolve) => setImmediate(resolve));
}

async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 100) {
    vi.advanceTimersByTime(Math.min(left, 100));
    await turns();
  }
}

describe("an idle stream", () => {
  test("gets a comment every 15 seconds by default", async () => {
    const opened = await open();
    await pass(14_800);
    expect(opened.take()).toBe("");
    await pass(400);
    expect(opened.take()).toBe(":\n\n");
    await pass(14_600);
    expect(opened.take()).toBe("");
    await pass(600);
    expect(opened.take()).toBe(":\n\n");
    await opened.leave();
  });

  test("gets what was asked for, as often as was asked for", async () => {
    const every = await open({ heartbeat: 1000 });
    const visible = await open({ heartbeat: { event: "heartbeat", every: 30_000 } });
    const speaking = await open({ heartbeat: { event: "beat", data: "a\nb", every: 2000 } });
    const silent = [await open({ heartbeat: false }), await open({ heartbeat: 0 })];
    await pass(31_000);
    expect(every.take().length / ":\n\n".length).toBeGreaterThanOrEqual(28);
    expect(visible.take()).toBe("event: heartbeat\ndata: \n\n");
    expect(speaking.take()).toMatch(/^(event: beat\ndata: a\ndata: b\n\n){14,15}$/);
    expect(silent.map((one) => one.take())).toEqual(["", ""]);
    await Promise.all([every, visible, speaking, ...silent].map((one) => one.leave()));
  });

  test("announces the interval in its first comment", async () => {
    for (const [heartbeat, announced] of [
      [undefined, 15_000],
      [1234.5, 1235],
      [{ event: "heartbeat" }, 15_000],
      [false, 0],
    ] as const) {
      const opened = new Open(heartbeat === undefined ? {} : { heartbeat });
      void opened.readAll();
      await turns();
      expect(opened.text).toBe(`: everstream heartbeat=${announced}\n\n`);
      await opened.leave();
    }
  });
});

describe("no heartbeat is sent", () => {
  test("to a stream that is busy, whatever it sends", async () => {
    const opened = await open({ heartbeat: 1000 });
    for (let count = 0; count < 20; count++) {
      await pass(700);
      if (count % 2 === 0) void opened.stream.writeSSE({ data: "x" });
      else void opened.stream.write(new Uint8Array([58, 10, 10]));
      await turns();
    }
    expect(opened.take()).toBe("data: x\n\n:\n\n".repeat(10));
    await pass(1200);
    expect(opened.take()).toBe(":\n\n");
    await opened.leave();
  });

  test("to a client that has not taken what came before", async () => {
    const opened = new Open({ heartbeat: 1000, stallTimeout: 0 });
    await pass(10_000);
    void opened.readAll();
    await turns();
    // Had each been kept for it, a stalled client would get ten at once.
    expect(opened.text).toBe(": everstream heartbeat=1000\n\n");
    opened.take();
    await pass(1200);
    expect(opened.take()).toMatch(/^(:\n\n){1,2}$/);
    await opened.leave();
  });

  test("after the end", async () => {
    const opened = await open({ heartbeat: 1000 });
    await opened.stream.close();
    await turns();
    expect(pulseSize()).toBe(0);
    await pass(5000);
    expect(opened.take()).toBe("");
  });
});

describe("a client that takes nothing", () => {
  test("is cut off once it has taken nothing for the stall timeout", async () => {
    const opened = new Open({ stallTimeout: 10_000 });
    await pass(9_800);
    expect(opened.stream.closed).toBe(false);
    await pass(3_000);
    expect(await opened.stream.closeReason).toBe("stalled");
  });

  test("is not judged by the time for which the server's own process slept", async () => {
    const opened = new Open({ stallTimeout: 10_000 });
    await pass(1_000);
    const now = performance.now.bind(performance);
    const clock = vi.spyOn(performance, "now").mockImplementation(() => now() + 3_600_000);
    await pass(3_000);
    expect(opened.stream.closed).toBe(false);
    void opened.readAll();
    await pass(60_000);
    expect(opened.stream.closed).toBe(false);
    await opened.leave();
    clock.mockRestore();
  });
});

describe("one timer", () => {
  test("serves all streams, and stops with the last", async () => {
    const before = vi.getTimerCount();
    const all = await Promise.all(Array.from({ length: 100 }, () => open()));
    expect(vi.getTimerCount()).toBe(before + 1);
    expect(pulseSize()).toBe(100);
    await Promise.all(all.map((one) => one.leave()));
    expect(pulseSize()).toBe(0);
    expect(vi.getTimerCount()).toBe(before);
  });
});
