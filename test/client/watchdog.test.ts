import { openEventStream } from "everstream/client";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createWatchdog, type Watchdog } from "../../src/client/watchdog.ts";

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

describe("a silence that no timer holds", () => {
  test.each([Number.POSITIVE_INFINITY, 900_000_000])("%d is waited for as long as that is", (promisedMs) => {
    const onSilent = vi.fn();
    const watchdog = createWatchdog(onSilent, () => true);
    watchdog.beat(promisedMs);
    watchdog.touch();
    vi.advanceTimersByTime(1e9);
    watchdog.check();
    expect(onSilent).not.toHaveBeenCalled();
    vi.setSystemTime(Date.now() + 2.5 * promisedMs);
    watchdog.check();
    expect(onSilent).toHaveBeenCalledTimes(Number.isFinite(promisedMs) ? 1 : 0);
  });
});

describe("a server that announces nothing", () => {
  /** Heartbeats at these seconds of a connection that is opened now. */
  function beatAt(watchdog: Watchdog, ...seconds: number[]): void {
    watchdog.open();
    const openedAt = Date.now();
    for (const second of seconds) {
      vi.advanceTimersByTime(openedAt + second * 1000 - Date.now());
      watchdog.beat();
      watchdog.touch();
    }
  }

  test("is held to the time between its first two heartbeats, but for those that come at once", () => {
    const onSilent = vi.fn();
    const watchdog = createWatchdog(onSilent, () => true);
    beatAt(watchdog, 0, 0.5, 10.5);
    vi.advanceTimersByTime(25_999);
    expect(onSilent).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(onSilent).toHaveBeenCalledTimes(1);
  });

  test("is given more time where later heartbeats come more slowly", () => {
    const onSilent = vi.fn();
    const watchdog = createWatchdog(onSilent, () => true);
    // An opening comment, and a beat of the whole server's, every 30 seconds.
    beatAt(watchdog, 0, 12, 42, 73.1, 103.1);
    vi.advanceTimersByTime(31_100 * 2.5 + 999);
    expect(onSilent).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(onSilent).toHaveBeenCalledTimes(1);
  });

  test("is not given it for a sleep of the machine, or a reader of ours that was slow", () => {
    const onSilent = vi.fn();
    const watchdog = createWatchdog(onSilent, () => true);
    beatAt(watchdog, 0, 10);
    watchdog.rest();
    vi.advanceTimersByTime(3_600_000);
    watchdog.beat();
    watchdog.touch();
    vi.advanceTimersByTime(26_000);
    expect(onSilent).toHaveBeenCalledTimes(1);
  });

  test.each([
    ["an opening comment and the server's one clock", [0, 2], [0, 11, 41, 71, 101]],
    ["a few lines of progress, then quiet", [0, 2, 4, 6, 8], [0, 2, 4, 6, 8]],
    ["a comment now and then", [5, 9], [3, 40, 44, 120, 121.5]],
  ])("loses one connection to a wrong guess, and no other: %s", (_, first, later) => {
    const onSilent = vi.fn();
    const watchdog = createWatchdog(onSilent, () => true);
    beatAt(watchdog, ...first);
    vi.advanceTimersByTime(1e6);
    expect(onSilent).toHaveBeenCalledTimes(1);
    for (let connection = 0; connection < 5; connection++) {
      watchdog.rest();
      beatAt(watchdog, ...later);
      vi.advanceTimersByTime(1e6);
    }
    expect(onSilent).toHaveBeenCalledTimes(1);
  });

  test("is not held to a guess that was wrong, not even after long, by events alone", () => {
    const onSilent = vi.fn();
    const watchdog = createWatchdog(onSilent, () => true);
    beatAt(watchdog, 0, 2);
    vi.advanceTimersByTime(6000);
    watchdog.open();
    vi.advanceTimersByTime(1e6);
    watchdog.touch();
    vi.advanceTimersByTime(1e6);
    expect(onSilent).toHaveBeenCalledTimes(1);
  });

  test("is held to its heartbeats again after a guess was wrong, once they have come for five minutes", () => {
    const onSilent = vi.fn();
    const watchdog = createWatchdog(onSilent, () => true);
    beatAt(watchdog, 0, 2);
    vi.advanceTimersByTime(6000);
    expect(onSilent).toHaveBeenCalledTimes(1);
    beatAt(watchdog, ...Array.from({ length: 12 }, (_, index) => 3 + 30 * index));
    vi.advanceTimersByTime(75_999);
    expect(onSilent).toHaveBeenCalledTimes(1);
    vi.advanceTimersByTime(1);
    expect(onSilent).toHaveBeenCalledTimes(2);
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

  test.each([Number.POSITIVE_INFINITY, 2 ** 31])(
    "a connectTimeout and a heartbeat of %d are none that a timer holds",
    async (ms) => {
      const { fetch } = manualFetch();
      let answer: (response: Response | Promise<Response>) => void = () => undefined;
      const answered = new Promise<Response>((resolve) => {
        answer = resolve;
      });
      const stream = openEventStream("/", { fetch: () => answered, connectTimeout: ms, heartbeat: ms });
      stream.onEvent(() => undefined);
      await vi.advanceTimersByTimeAsync(1e9);
      expect(stream.status).toMatchObject({ state: "connecting", attempt: 1 });
      answer(fetch("/"));
      await vi.advanceTimersByTimeAsync(1e9);
      expect(stream.status).toMatchObject({ state: "open", attempt: 1 });
      stream.close();
    },
  );

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
