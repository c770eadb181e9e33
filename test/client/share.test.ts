import {
  type EventStream,
  type EventStreamOptions,
  openEventStream,
  type StreamEvent,
} from "everstream/client";
import { afterAll, beforeEach, describe, expect, test, vi } from "vitest";
import { createHistory, type Leadership } from "../../src/client/share-history.ts";
import type { Entry, Hello } from "../../src/client/share-wire.ts";
import { closing, reached, record, startServer, type TestServer } from "./server.ts";

/** Web Locks as far as one process needs them. */
class Locks {
  readonly #queues = new Map<string, (() => Promise<void>)[]>();
  refuses = false;

  request(name: string, { signal }: { signal: AbortSignal }, hold: () => Promise<void>): Promise<void> {
    if (this.refuses) return Promise.reject(new DOMException("Denied", "SecurityError"));
    const queue = this.#queues.get(name) ?? [];
    this.#queues.set(name, queue);
    return new Promise((resolve, reject) => {
      const run = async (): Promise<void> => {
        await hold();
        queue.shift();
        void queue[0]?.();
        resolve();
      };
      signal.addEventListener("abort", () => {
        if (queue.indexOf(run) > 0) queue.splice(queue.indexOf(run), 1);
        reject(new DOMException("Aborted", "AbortError"));
      });
      // A browser never calls back at once.
      if (queue.push(run) === 1) setImmediate(run);
    });
  }
}

/** A channel that can be made deaf. */
class Channel extends BroadcastChannel {
  static readonly all: Channel[] = [];
  isDeaf = false;

  constructor(name: string) {
    super(name);
    Channel.all.push(this);
  }

  override set onmessage(listener: (event: MessageEvent) => void) {
    this.addEventListener("message", (event) => {
      if (!this.isDeaf) listener(event as MessageEvent);
    });
  }
}

let locks: Locks;

beforeEach(() => {
  locks = new Locks();
  Channel.all.length = 0;
  vi.stubGlobal("navigator", { locks });
  vi.stubGlobal("BroadcastChannel", Channel);
});
// Not after each test: streams are closed after that.
afterAll(() => void vi.unstubAllGlobals());

const FAST = { share: true, minDelay: 1, maxDelay: 5 };

interface Tab {
  readonly stream: ReturnType<typeof openEventStream>;
  readonly data: ReturnType<typeof record<string>>;
  readonly channel: Channel;
}

/** A stream as another tab would have it; resolves once it has its part. */
async function openTab(server: TestServer, options: EventStreamOptions = FAST): Promise<Tab> {
  const stream = closing(openEventStream(server.url, options));
  const data = record<string>();
  stream.onEvent(({ data: text }: StreamEvent) => data.add(text));
  await reached(stream, "open");
  return { stream, data, channel: Channel.all.at(-1) as Channel };
}

function events(from: number, to: number): string {
  let text = "";
  for (let id = from; id <= to; id++) text += `id: e${id}\ndata: ${id}\n\n`;
  return text;
}

/** Three tabs that have had the events 1 and 2 and of which one hears no more until 5 was sent. */
async function withDeaf(which: 1 | 2): Promise<{ server: TestServer; tabs: [Tab, Tab, Tab] }> {
  const server = await startServer(({ open }, index) => {
    if (index === 0) open();
  });
  const tabs: [Tab, Tab, Tab] = [await openTab(server), await openTab(server), await openTab(server)];
  const first = await server.exchange(0);
  first.response.write(events(1, 2));
  for (const tab of tabs) await tab.data.count(2);
  tabs[which].channel.isDeaf = true;
  first.response.write(events(3, 5));
  for (const [index, tab] of tabs.entries()) if (index !== which) await tab.data.count(5);
  return { server, tabs };
}

const ALL = ["1", "2", "3", "4", "5", "6"];

describe("when the leader leaves", () => {
  test("a successor that saw less than another reads it again, and the other gets nothing twice", async () => {
    const { server, tabs } = await withDeaf(1);
    tabs[0].stream.close();
    tabs[1].channel.isDeaf = false;
    const second = await server.exchange(1);
    expect(second.request.headers["last-event-id"]).toBe("e2");
    second.open(events(3, 6));
    expect(await tabs[1].data.count(6)).toEqual(ALL);
    expect(await tabs[2].data.count(6)).toEqual(ALL);
  });

  test("a successor that saw more gives the other what it lacks", async () => {
    const { server, tabs } = await withDeaf(2);
    tabs[2].channel.isDeaf = false;
    tabs[0].stream.close();
    const second = await server.exchange(1);
    expect(second.request.headers["last-event-id"]).toBe("e5");
    second.open(events(6, 6));
    expect(await tabs[1].data.count(6)).toEqual(ALL);
    expect(await tabs[2].data.count(6)).toEqual(ALL);
  });

  test("during a wait, its successor waits as long", async () => {
    const server = await startServer(({ open, response }, index) => {
      if (index === 0) response.writeHead(503, { "retry-after": "600" }).end();
      else open();
    });
    const next = (): EventStream => {
      const stream = closing(openEventStream(server.url, FAST));
      stream.onEvent(() => undefined);
      return stream;
    };
    const first = next();
    const { nextTryAt } = await reached(first, "waiting");
    const second = next();
    expect(await reached(second, "waiting")).toMatchObject({ nextTryAt, failure: { status: 503 } });
    first.close();
    // Who joins hears it from the successor.
    expect(await reached(next(), "waiting")).toMatchObject({ nextTryAt });
    expect(second.status).toMatchObject({ state: "waiting", nextTryAt });
    expect(server.exchanges).toHaveLength(1);
  });
});

test("a hole is seen with the next event, and filled", async () => {
  const { server, tabs } = await withDeaf(2);
  tabs[2].channel.isDeaf = false;
  (await server.exchange(0)).response.write(events(6, 6));
  expect(await tabs[2].data.count(6)).toEqual(ALL);
  expect(server.exchanges).toHaveLength(1);
});

test("a tab whose hole the others do not remember asks the server", async () => {
  const { server, tabs } = await withDeaf(2);
  const first = await server.exchange(0);
  first.response.write(events(6, 2000));
  await tabs[0].data.count(2000);
  tabs[2].channel.isDeaf = false;
  first.response.write(events(2001, 2001));
  const own = await server.exchange(1);
  expect(own.request.headers["last-event-id"]).toBe("e2");
  own.open(events(3, 2001));
  await own.gone;
  first.response.write(events(2002, 2002));
  const all = Array.from({ length: 2002 }, (_, index) => String(index + 1));
  for (const tab of tabs) expect(await tab.data.count(2002)).toEqual(all);
});

describe("each has a connection of its own", () => {
  test.each<[string, EventStreamOptions]>([
    ["that posts", { ...FAST, method: "POST", body: "a" }],
    ["that is not resumed", { ...FAST, resume: "never" }],
    ["that is resumed by a cursor alone", { ...FAST, resume: "cursor" }],
    ["that is resumed elsewhere", { ...FAST, resumeUrl: "http://127.0.0.1/" }],
    ["with other headers", FAST],
  ])("stream %s", async (_, options) => {
    const server = await startServer(({ open }) => open());
    await openTab(server, { ...options, headers: { "X-Tab": "1" } });
    await openTab(server, { ...options, headers: { "X-Tab": "2" } });
    expect(server.exchanges).toHaveLength(2);
  });

  test("where the browser refuses locks", async () => {
    locks.refuses = true;
    const server = await startServer(({ open }) => open("data: a\n\n"));
    const tabs = [await openTab(server), await openTab(server)];
    for (const tab of tabs) expect(await tab.data.count(1)).toEqual(["a"]);
    expect(server.exchanges).toHaveLength(2);
  });
});

describe("what a leader's history has for a tab", () => {
  const entry = (seq: number, id: string, term = 1): Entry => ({
    kind: "event",
    term,
    seq,
    event: { event: "message", data: "", lastEventId: id },
  });
  const leader = (own: Partial<Leadership> = {}): Leadership => ({
    place: { term: 1, seq: 3 },
    id: "1-9",
    from: { place: undefined, id: "1-1" },
    ordered: true,
    ...own,
  });
  const hello = (id: string, place?: Hello["place"]): Hello => ({
    kind: "hello",
    nonce: "",
    place,
    id,
    wake: false,
  });
  const history = createHistory();
  history.reset({ term: 1, seq: 0 }, "1-1");
  const entries = [entry(1, "1-3"), entry(2, "1-6"), entry(3, "1-9")];
  for (const each of entries) history.add(each);

  test.each<[string, Hello, Leadership, unknown]>([
    ["at the same place", hello("1-9", { term: 1, seq: 3 }), leader(), { entries: [] }],
    ["at an earlier place", hello("x", { term: 1, seq: 1 }), leader(), { entries: entries.slice(1) }],
    ["at the first place", hello("x", { term: 1, seq: 0 }), leader(), { entries }],
    ["with an id that it has", hello("1-3"), leader(), { entries: entries.slice(1) }],
    ["with the id before all", hello("1-1"), leader(), { entries }],
    ["with a position between", hello("1-4"), leader(), { entries: entries.slice(1) }],
    ["with an older position", hello("1-0"), leader(), undefined],
    ["with what only looks like a position", hello("1-4"), leader({ ordered: false }), undefined],
    ["with a later position", hello("1-z"), leader(), { entries: [], ahead: { id: "1-9" } }],
    ["with nothing", hello(""), leader(), { entries: [] }],
    [
      "ahead of where its term began",
      hello("x", { term: 0.5, seq: 9 }),
      leader({ from: { place: { term: 0.5, seq: 7 }, id: "w" } }),
      { entries, ahead: { from: { term: 0.5, seq: 7 }, id: "w" } },
    ],
  ])("%s", (_, question, facts, expected) => {
    expect(history.missedBy(question, facts)).toEqual(expected);
  });

  test("is bounded, in entries and in text", () => {
    const small = createHistory();
    for (let seq = 1; seq <= 5000; seq++) small.add(entry(seq, `e${seq}`));
    const held = small.missedBy(hello("", { term: 1, seq: 4999 }), leader({ place: { term: 1, seq: 5000 } }));
    expect(held?.entries).toHaveLength(1);
    expect(small.idsAfter(undefined).size).toBeLessThanOrEqual(1024);
    const long = createHistory();
    const event = { event: "message", data: "x".repeat(100_000), lastEventId: "" };
    for (let seq = 1; seq <= 9; seq++)
      long.add({ kind: "event", term: 1, seq, event: { ...event, lastEventId: `${seq}` } });
    expect(long.idsAfter(undefined).size).toBe(2);
  });
});
