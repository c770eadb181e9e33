import { openEventStream } from "everstream/client";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createWatchdog } from "../../src/client/watchdog.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("a watchdog", () => {
  test("bites after two and a half intervals and a second, counted from the last touch", () => {
    const onSilent = vi.fn();
    const watchdog = createWatchdog(onSilent, () => true);
    watchdog.touch();
    vi.advanceTimersByTime(1e6);
    watchdog.beat(10_000);
    watchdog.beat(undefined);
    watchdog.touch();
    vi.advanceTimersByTime(20_000);
    watchdog.touch();
    vi.advanceTimersByTime(25_999);
    expect(onSilent).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(onSilent).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(1e6);
    expect(onSilent).toHaveBeenCalledTimes(1);
  });

  test("rests until it is touched again, and for good once there is no promise", () => {
    const onSilent = vi.fn();
    const watchdog = createWatchdog(onSilent, () => true);
    watchdog.beat(1000);
    watchdog.touch();
    watchdog.rest();
    vi.advanceTimersByTime(1e6);
    watchdog.beat(0);
    watchdog.touch();
    vi.advanceTimersByTime(1e6);
    expect(onSilent).not.toHaveBeenCalled();
  });

  test("sees at once, when asked, that the machine slept, though its timers did not run", () => {
    const onSilent = vi.fn();
    const watchdog = createWatchdog(onSilent, () => true);
    watchdog.beat(10_000);
    watchdog.touch();
    watchdog.check();
    expect(onSilent).not.toHaveBeenCalled();
    vi.setSystemTime(Date.now() + 3_600_000);
    watchdog.check();
    expect(onSilent).toHaveBeenCalledTimes(1);
  });
});

describe("a server that announces nothing", () => {
  test("is held to the time between its first two heartbeats, until that proves wrong", () => {
    const onSilent = vi.fn();
    const watchdog = createWatchdog(onSilent, () => true);
    watchdog.open();
    for (const gap of [500, 10_000, 30_000]) {
      watchdog.beat();
      watchdog.touch();
      vi.advanceTimersByTime(gap === 30_000 ? 25_999 : gap);
    }
    expect(onSilent).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(onSilent).toHaveBeenCalledTimes(1);
    watchdog.open();
    vi.advanceTimersByTime(1e6);
    expect(onSilent).toHaveBeenCalledTimes(1);
  });

  test("is not measured from one connection to the next, nor where a wrong guess would end the work", () => {
    const onSilent = vi.fn();
    const patient = createWatchdog(onSilent, () => false);
    const watchdog = createWatchdog(onSilent, () => true);
    for (let connection = 0; connection < 3; connection++) {
      watchdog.open();
      watchdog.beat();
      patient.beat();
      patient.touch();
      vi.advanceTimersByTime(5000);
    }
    vi.advanceTimersByTime(1e6);
    expect(onSilent).not.toHaveBeenCalled();
  });
});

describe("a stream with a watchdog", () => {
  /** A fetch whose one answer the test writes by hand. */
  function manualFetch(): { fetch: typeof fetch; write(text: string): void } {
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
    const body = new ReadableStream<Uint8Array>({
      start(given) {
        controller = given;
      },
    });
    const response = new Response(body, { headers: { "content-type": "text/event-stream" } });
    return {
      fetch: () => Promise.resolve(response),
      write: (text) => controller?.enqueue(new TextEncoder().encode(text)),
    };
  }

  test("does not take its own slow reader for a stalled server", async () => {
    const { fetch, write } = manualFetch();
    const stream = openEventStream("/", { fetch, maxQueue: 1 });
    const loop = stream[Symbol.asyncIterator]();
    write(": everstream heartbeat=1000\n\n");
    await vi.advanceTimersByTimeAsync(1000);
    write("data: 0\n\ndata: 1\n\n");
    await vi.advanceTimersByTimeAsync(1e6);
    expect(stream.status.state).toBe("open");
    await loop.next();
    await loop.next();
    await vi.advanceTimersByTimeAsync(3499);
    expect(stream.status.state).toBe("open");
    await vi.advanceTimersByTimeAsync(1);
    expect(stream.status).toMatchObject({ state: "waiting", failure: { code: "STALLED" } });
    stream.close();
  });

  test("goes by the `heartbeat` option where the server announces nothing", async () => {
    const { fetch } = manualFetch();
    const stream = openEventStream("/", { fetch, heartbeat: 2000 });
    stream.onEvent(() => undefined);
    await vi.advanceTimersByTimeAsync(5999);
    expect(stream.status.state).toBe("open");
    await vi.advanceTimersByTimeAsync(1);
    expect(stream.status.failure).toMatchObject({ code: "STALLED" });
    stream.close();
  });

  test.each([
    ["comments", ": ping\n\n"],
    ["`ping` events", "event: ping\ndata: {}\n\n"],
  ])("learns from a foreign server's %s", async (_, beat) => {
    const { fetch, write } = manualFetch();
    const stream = openEventStream("/", { fetch });
    stream.onEvent(() => undefined);
    await vi.advanceTimersByTimeAsync(0);
    write(beat);
    await vi.advanceTimersByTimeAsync(15_000);
    write(beat);
    await vi.advanceTimersByTimeAsync(38_499);
    expect(stream.status.state).toBe("open");
    await vi.advanceTimersByTimeAsync(1);
    expect(stream.status).toMatchObject({ state: "waiting", failure: { code: "STALLED" } });
    stream.close();
  });

  test("is given a fresh count of attempts by having stayed as long as the longest wait", async () => {
    let opened = 0;
    const stream = openEventStream("/", {
      minDelay: 10,
      maxDelay: 60_000,
      fetch() {
        opened++;
        if (opened < 4) return Promise.reject(new TypeError("no network"));
        return manualFetch().fetch("/");
      },
      heartbeat: 30_000,
    });
    stream.onEvent(() => undefined);
    await vi.advanceTimersByTimeAsync(1000);
    expect(stream.status).toMatchObject({ state: "open", attempt: 4 });
    const attempts: number[] = [];
    stream.onStatus(({ state, attempt }) => {
      if (state === "waiting") attempts.push(attempt);
    });
    await vi.advanceTimersByTimeAsync(76_000);
    expect(attempts).toEqual([1]);
    stream.close();
  });
});
