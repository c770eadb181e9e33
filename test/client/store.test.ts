import {
  createLeasedStore,
  createStreamRegistry,
  createStreamStore,
  type EventStream,
  openEventStream,
  type StreamEvent,
  type StreamStatus,
} from "everstream/client";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { closing, startServer } from "./server.ts";

/** A stream whose events and states the test makes up. */
class FakeStream {
  status: StreamStatus = { state: "idle", attempt: 0 };
  lastEventId = "";
  readonly closed = vi.fn();
  readonly #events = new Set<(event: StreamEvent) => void>();
  readonly #statuses = new Set<(status: StreamStatus) => void>();

  onEvent(listener: (event: StreamEvent) => void): () => void {
    this.#events.add(listener);
    return () => this.#events.delete(listener);
  }

  onStatus(listener: (status: StreamStatus) => void): () => void {
    this.#statuses.add(listener);
    return () => this.#statuses.delete(listener);
  }

  /** Events whose ids are their data. */
  emit(...data: string[]): void {
    for (const each of data) this.emitAfter(each, each);
  }

  /** Events without an id, after the one that has this. */
  emitAfter(lastEventId: string, ...data: string[]): void {
    for (const each of data) {
      this.lastEventId = lastEventId;
      for (const listener of this.#events) listener({ type: "message", data: each, lastEventId });
    }
  }

  become(status: StreamStatus): void {
    this.status = status;
    for (const listener of this.#statuses) listener(status);
  }

  close(): void {
    this.closed();
  }

  get listeners(): number {
    return this.#events.size + this.#statuses.size;
  }
}

/** The parts of a stream that stores use. */
function asStream(fake: FakeStream): EventStream {
  return fake as unknown as EventStream;
}

const join = { initial: "", reduce: (all: string, { data }: StreamEvent) => all + data };
const OPEN: StreamStatus = { state: "open", attempt: 1 };

/** A screen that draws when the test says so. */
function stubFrames(): { draw(): void } {
  const frames = new Map<number, () => void>();
  let count = 0;
  vi.stubGlobal("requestAnimationFrame", (callback: () => void) => {
    frames.set(++count, callback);
    return count;
  });
  vi.stubGlobal("cancelAnimationFrame", (id: number) => frames.delete(id));
  return {
    draw() {
      const due = [...frames.values()];
      frames.clear();
      for (const callback of due) callback();
    },
  };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("createStreamStore", () => {
  test("publishes once a frame, however many events came, and loses none", () => {
    const screen = stubFrames();
    const fake = new FakeStream();
    const store = createStreamStore(asStream(fake), join);
    const listener = vi.fn();
    store.subscribe(listener);
    fake.become(OPEN);
    fake.emit("a", "b", "c");
    const before = store.getSnapshot();
    expect(before).toEqual({ data: "", status: { state: "idle", attempt: 0 } });
    expect(listener).not.toHaveBeenCalled();
    screen.draw();
    expect(listener).toHaveBeenCalledTimes(1);
    expect(store.getSnapshot()).toEqual({ data: "abc", status: OPEN });
    expect(store.getSnapshot()).toBe(store.getSnapshot());
    screen.draw();
    vi.advanceTimersByTime(1000);
    expect(listener).toHaveBeenCalledTimes(1);
  });

  test("publishes at most 60 times a second on a faster screen", () => {
    const screen = stubFrames();
    const fake = new FakeStream();
    const store = createStreamStore(asStream(fake), join);
    const listener = vi.fn();
    store.subscribe(listener);
    for (let frame = 0; frame < 240; frame++) {
      fake.emit("x");
      vi.advanceTimersByTime(1000 / 240);
      screen.draw();
    }
    expect(listener.mock.calls.length).toBeLessThanOrEqual(60);
    expect(listener.mock.calls.length).toBeGreaterThan(40);
  });

  test("publishes by timer where no frames are drawn, as in a page that was hidden meanwhile", () => {
    stubFrames();
    const fake = new FakeStream();
    const store = createStreamStore(asStream(fake), join);
    const listener = vi.fn();
    store.subscribe(listener);
    fake.emit("a");
    vi.advanceTimersByTime(1000);
    expect(listener).toHaveBeenCalledTimes(1);
    expect(store.getSnapshot().data).toBe("a");
  });

  test("publishes everything before it is over, at once", () => {
    stubFrames();
    for (const state of ["closed", "failed"] as const) {
      const fake = new FakeStream();
      const store = createStreamStore(asStream(fake), join);
      const listener = vi.fn();
      store.subscribe(listener);
      fake.emit("a", "b");
      fake.become({ state, attempt: 1 });
      expect(listener).toHaveBeenCalledTimes(1);
      expect(store.getSnapshot()).toEqual({ data: "ab", status: { state, attempt: 1 } });
    }
  });

  test("works while it has listeners, and what it took before is not lost with the last one", () => {
    stubFrames();
    const fake = new FakeStream();
    const store = createStreamStore(asStream(fake), join);
    expect(fake.listeners).toBe(0);
    const first = store.subscribe(() => undefined);
    const second = store.subscribe(() => undefined);
    fake.emit("a");
    first();
    first();
    fake.emit("b");
    second();
    expect(fake.listeners).toBe(0);
    fake.emit("unheard");
    expect(store.getSnapshot().data).toBe("ab");
    store.subscribe(() => undefined);
    fake.emit("c");
    fake.become({ state: "closed", attempt: 1 });
    expect(store.getSnapshot().data).toBe("abc");
  });

  test("calls onEvent with every event, and a callback that throws harms nothing", () => {
    const report = vi.spyOn(console, "error").mockImplementation(() => undefined);
    stubFrames();
    const fake = new FakeStream();
    const seen: string[] = [];
    const store = createStreamStore(asStream(fake), {
      initial: "",
      reduce(all: string, { data }: StreamEvent) {
        if (data === "bad") throw new Error("reduce");
        return all + data;
      },
      onEvent({ data }) {
        seen.push(data);
        throw new Error("onEvent");
      },
    });
    store.subscribe(() => undefined);
    fake.emit("a", "bad", "b");
    fake.become({ state: "closed", attempt: 1 });
    expect(store.getSnapshot().data).toBe("ab");
    expect(seen).toEqual(["a", "bad", "b"]);
    expect(report).toHaveBeenCalledTimes(4);
    report.mockRestore();
  });
});

describe("createStreamRegistry", () => {
  test("opens one stream for each key, and closes it with its last lease", () => {
    const registry = createStreamRegistry();
    const opened: FakeStream[] = [];
    const open = (): EventStream => {
      opened.push(new FakeStream());
      return asStream(opened.at(-1) as FakeStream);
    };
    const first = registry.acquire("a", open);
    const second = registry.acquire("a", open);
    const other = registry.acquire("b", open);
    expect(second.stream).toBe(first.stream);
    expect(other.stream).not.toBe(first.stream);
    first.release();
    first.release();
    vi.advanceTimersByTime(0);
    expect(opened[0]?.closed).not.toHaveBeenCalled();
    second.release();
    vi.advanceTimersByTime(0);
    expect(opened[0]?.closed).toHaveBeenCalledTimes(1);
    expect(registry.acquire("a", open).stream).not.toBe(first.stream);
    expect(opened).toHaveLength(3);
  });

  test("leaves a stream open for as long as its last lease says, for whoever comes by then", () => {
    const registry = createStreamRegistry<string>();
    const fake = new FakeStream();
    let newest = (): string | undefined => undefined;
    const acquire = (user: string) =>
      registry.acquire(
        "a",
        (tell) => {
          newest = tell;
          return asStream(fake);
        },
        {},
        user,
      );
    const first = acquire("first");
    const second = acquire("second");
    expect(newest()).toBe("second");
    first.release(1000);
    second.release(1000);
    expect(newest()).toBe("second");
    vi.advanceTimersByTime(999);
    const third = acquire("third");
    expect(newest()).toBe("third");
    vi.advanceTimersByTime(10_000);
    third.release(1000);
    third.release();
    vi.advanceTimersByTime(999);
    expect(fake.closed).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(fake.closed).toHaveBeenCalledTimes(1);
  });

  test("opens another stream for whoever would miss what came in between", () => {
    const registry = createStreamRegistry();
    const shared = new FakeStream();
    const open = (): EventStream => asStream(new FakeStream());
    registry.acquire("a", () => asStream(shared));
    shared.emit("1");
    expect(registry.acquire("a", open, { lastEventId: "1" }).stream).toBe(shared);
    shared.emit("2");
    const late = registry.acquire("a", open, { lastEventId: "1" });
    expect(late.stream).not.toBe(shared);
    expect(registry.acquire("a", open).stream).toBe(shared);
    late.release();
    expect(registry.acquire("a", open, { lastEventId: "2" }).stream).toBe(shared);
    expect(shared.closed).not.toHaveBeenCalled();
  });

  test("replaces a stream that failed; one that ended stays, unless it is to be reopened", () => {
    const registry = createStreamRegistry();
    const fakes: FakeStream[] = [];
    const open = (): EventStream => {
      fakes.push(new FakeStream());
      return asStream(fakes.at(-1) as FakeStream);
    };
    const first = registry.acquire("a", open);
    fakes[0]?.become({ state: "failed", attempt: 1 });
    const second = registry.acquire("a", open);
    expect(second.stream).not.toBe(first.stream);
    first.release();
    expect(registry.acquire("a", open).stream).toBe(second.stream);
    fakes[1]?.become({ state: "closed", attempt: 1 });
    expect(registry.acquire("a", open).stream).toBe(second.stream);
    const third = registry.acquire("a", open, { reopen: true });
    expect(third.stream).not.toBe(second.stream);
    expect(registry.acquire("a", open, { reopen: true }).stream).toBe(third.stream);
  });
});

describe("createLeasedStore", () => {
  /** A leased store over fake streams, with what it asked for. */
  function leased(linger?: number): {
    readonly store: ReturnType<typeof createLeasedStore<string>>;
    readonly opened: FakeStream[];
    readonly cursors: string[];
  } {
    const opened: FakeStream[] = [];
    const cursors: string[] = [];
    const store = createLeasedStore("", {
      acquire({ lastEventId = "" }) {
        const fake = new FakeStream();
        opened.push(fake);
        cursors.push(lastEventId);
        return { stream: asStream(fake), release: () => fake.close() };
      },
      createStore: (stream, initial) => createStreamStore(stream, { ...join, initial }),
      linger,
    });
    return { store, opened, cursors };
  }

  test("opens nothing until somebody listens", () => {
    const { store, opened } = leased();
    expect(store.getSnapshot()).toEqual({ data: "", status: { state: "idle", attempt: 0 } });
    expect(store.getSnapshot()).toBe(store.getSnapshot());
    expect(opened).toEqual([]);
  });

  test("keeps its stream for a moment without listeners, and misses nothing then", () => {
    const { store, opened } = leased();
    store.subscribe(() => undefined)();
    const listener = vi.fn();
    opened[0]?.emit("a");
    store.subscribe(listener);
    vi.advanceTimersByTime(1000);
    opened[0]?.emit("b");
    opened[0]?.become({ state: "closed", attempt: 1 });
    expect(store.getSnapshot().data).toBe("ab");
    expect(listener).toHaveBeenCalled();
    expect(opened).toHaveLength(1);
  });

  test.each([Number.POSITIVE_INFINITY, 2 ** 31])("keeps it for good with a `linger` of %d", (linger) => {
    const registry = createStreamRegistry();
    const fake = new FakeStream();
    const store = createLeasedStore("", {
      acquire: () => registry.acquire("a", () => asStream(fake)),
      createStore: (stream, initial) => createStreamStore(stream, { ...join, initial }),
      linger,
    });
    store.subscribe(() => undefined)();
    vi.advanceTimersByTime(1e9);
    expect(fake.closed).not.toHaveBeenCalled();
    // But not the store: a component that is gone is no more of a burden.
    expect(fake.listeners).toBe(0);
  });

  test("gives it back after that, and later goes on from its value and its cursor", () => {
    const { store, opened, cursors } = leased();
    const unsubscribe = store.subscribe(() => undefined);
    opened[0]?.emit("a", "b");
    unsubscribe();
    unsubscribe();
    vi.advanceTimersByTime(1000);
    expect(opened[0]?.closed).toHaveBeenCalledTimes(1);
    expect(store.getSnapshot()).toEqual({ data: "ab", status: { state: "idle", attempt: 0 } });
    store.subscribe(() => undefined);
    opened[1]?.emit("c");
    opened[1]?.become({ state: "closed", attempt: 1 });
    expect(store.getSnapshot().data).toBe("abc");
    expect(cursors).toEqual(["", "b"]);
  });

  test("tells of events while it has listeners, of others when it has some again, of each once", () => {
    const fake = new FakeStream();
    const told: string[] = [];
    const store = createLeasedStore("", {
      acquire: () => ({ stream: asStream(fake), release: () => undefined }),
      createStore: (stream, initial, tell) =>
        createStreamStore(stream, {
          ...join,
          initial,
          onEvent: ({ data }) => tell(() => told.push(data)),
        }),
    });
    const leave = store.subscribe(() => undefined);
    fake.emit("a");
    leave();
    fake.emit("b");
    expect(told).toEqual(["a"]);
    const leaveAgain = store.subscribe(() => undefined);
    fake.emit("c");
    expect(told).toEqual(["a", "b", "c"]);
    leaveAgain();
    fake.emit("d");
    vi.advanceTimersByTime(1000);
    fake.emit("unheard");
    store.subscribe(() => undefined);
    expect(told).toEqual(["a", "b", "c", "d"]);
    expect(store.getSnapshot().data).toBe("abcd");
  });

  /** Makes stores over one registry's streams, and keeps those that are opened for them. */
  function sharedStores() {
    const registry = createStreamRegistry();
    const opened: { readonly after: string; readonly fake: FakeStream }[] = [];
    const create = () =>
      createLeasedStore("", {
        acquire: (terms) =>
          registry.acquire(
            "a",
            () => {
              const fake = new FakeStream();
              opened.push({ after: terms.lastEventId ?? "", fake });
              return asStream(fake);
            },
            terms,
          ),
        createStore: (stream, initial) => createStreamStore(stream, { ...join, initial }),
      });
    return { create, opened, registry };
  }

  test("loses nothing that came while it had no listeners and others kept the stream open", () => {
    const { create, opened } = sharedStores();
    const [stays, leaves] = [create(), create()];
    stays.subscribe(() => undefined);
    const leave = leaves.subscribe(() => undefined);
    opened[0]?.fake.emit("a");
    leave();
    vi.advanceTimersByTime(1000);
    opened[0]?.fake.emit("b");
    leaves.subscribe(() => undefined);
    expect(opened.map(({ after }) => after)).toEqual(["", "a"]);
    opened[1]?.fake.emit("b", "c");
    opened[0]?.fake.emit("c");
    vi.advanceTimersByTime(1000);
    expect(stays.getSnapshot().data).toBe("abc");
    expect(leaves.getSnapshot().data).toBe("abc");
  });

  /** Two stores over a registry's streams, of which one was away while `b` came and has a stream of its own. */
  function oneBehind() {
    const { create, opened, registry } = sharedStores();
    const [stays, leaves] = [create(), create()];
    const leaveFirst = stays.subscribe(() => undefined);
    const leave = leaves.subscribe(() => undefined);
    const first = opened[0]?.fake as FakeStream;
    first.become(OPEN);
    first.emit("a");
    leave();
    vi.advanceTimersByTime(1000);
    first.emit("b");
    leaves.subscribe(() => undefined);
    const second = opened[1]?.fake as FakeStream;
    second.become(OPEN);
    const show = () => {
      vi.advanceTimersByTime(1000);
      return [stays.getSnapshot().data, leaves.getSnapshot().data];
    };
    return { first, second, leaves, show, opened, registry, leaveFirst };
  }

  test("goes over to the others' stream once its own has caught up, which is closed", () => {
    const { first, second, show, leaves } = oneBehind();
    const listener = vi.fn();
    leaves.subscribe(listener);
    expect(second.closed).not.toHaveBeenCalled();
    second.emit("b");
    expect(listener).toHaveBeenCalledTimes(1);
    expect(leaves.getSnapshot()).toEqual({ data: "ab", status: OPEN });
    vi.advanceTimersByTime(0);
    expect(second.closed).toHaveBeenCalledTimes(1);
    expect(first.closed).not.toHaveBeenCalled();
    second.emit("unheard");
    first.emit("c");
    expect(show()).toEqual(["abc", "abc"]);
  });

  test("the others come over to the one that has got ahead of them", () => {
    const { first, second, show, opened } = oneBehind();
    first.become({ state: "waiting", attempt: 1 });
    second.emit("b", "c");
    expect(second.closed).not.toHaveBeenCalled();
    first.become(OPEN);
    first.emit("c");
    vi.advanceTimersByTime(0);
    expect(first.closed).toHaveBeenCalledTimes(1);
    second.emit("d");
    expect(show()).toEqual(["abcd", "abcd"]);
    expect(opened).toHaveLength(2);
  });

  test("does not go over to a stream of which no store knows any more how far it has come", () => {
    const { first, second, leaves, registry, leaveFirst } = oneBehind();
    registry.acquire("a", () => expect.unreachable("it is there"));
    leaveFirst();
    vi.advanceTimersByTime(1000);
    first.emit("c");
    second.emit("b", "c");
    expect(second.closed).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1000);
    expect(leaves.getSnapshot().data).toBe("abc");
  });

  test("stays where events have no ids of their own, until one has", () => {
    const { first, second, show } = oneBehind();
    first.emitAfter("b", "x", "y");
    second.emit("b");
    second.emitAfter("b", "x");
    expect(second.closed).not.toHaveBeenCalled();
    second.emitAfter("b", "y");
    first.emit("c");
    second.emit("c");
    vi.advanceTimersByTime(0);
    expect(second.closed).toHaveBeenCalledTimes(1);
    first.emit("d");
    expect(show()).toEqual(["abxycd", "abxycd"]);
  });

  test("reopens what failed or ended after the last event, and nothing else", () => {
    const { store, opened, cursors } = leased();
    store.reopen();
    expect(opened).toEqual([]);
    const listener = vi.fn();
    const unsubscribe = store.subscribe(listener);
    opened[0]?.become(OPEN);
    store.reopen();
    expect(opened).toHaveLength(1);
    opened[0]?.emit("a");
    opened[0]?.become({ state: "failed", attempt: 1 });
    listener.mockClear();
    store.reopen();
    expect(listener).toHaveBeenCalledTimes(1);
    expect(store.getSnapshot()).toEqual({ data: "a", status: { state: "idle", attempt: 0 } });
    expect(opened[0]?.closed).toHaveBeenCalledTimes(1);
    opened[1]?.emit("b");
    opened[1]?.become({ state: "closed", attempt: 1 });
    store.reopen();
    expect(cursors).toEqual(["", "a", "b"]);
    opened[2]?.become({ state: "failed", attempt: 1 });
    unsubscribe();
    store.reopen();
    expect(store.getSnapshot().data).toBe("ab");
    expect(opened).toHaveLength(3);
  });
});

test("a store over a real stream shows its events and its end", async () => {
  vi.useRealTimers();
  const server = await startServer((exchange) => {
    exchange.open("data: a\n\ndata: b\n\n");
    exchange.response.end();
  });
  const stream = closing(openEventStream(server.url, { resume: "never" }));
  const store = createStreamStore(stream, join);
  await new Promise<void>((resolve) => {
    store.subscribe(() => {
      if (store.getSnapshot().status.state === "closed") resolve();
    });
  });
  expect(store.getSnapshot().data).toBe("ab");
});
