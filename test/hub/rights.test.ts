import { createHub, type Hub, memoryLog, type RespondOptions } from "everstream";
import type { TestServer } from "everstream/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { pulseSize } from "../../src/session/pulse.ts";
import { until } from "../session/eventually.ts";
import { connect, numbered, numbers, openClient } from "./client.ts";
import { type Call, remoteLog } from "./remote-log.ts";
import { cursorOf, dataOf, gapsOf, openSource, serveHub } from "./rights-server.ts";

let hub: Hub;
let server: TestServer;
/** What the next request may have. */
let options: RespondOptions;

beforeEach(async () => {
  hub = createHub();
  options = { topics: "t" };
  server = await serveHub(hub, () => options);
});
afterEach(async () => {
  await hub.close();
  await server.close();
});

async function answer(init?: RequestInit): Promise<{ status: number; headers: Headers; body: unknown }> {
  const response = await fetch(server.url, init);
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text && JSON.parse(text) };
}

describe("authorize", () => {
  it("is asked with the request and the topics' names, and its no is a 403", async () => {
    const authorize = vi.fn(async () => false);
    options = { topics: ["b", { topic: "a", notBefore: await hub.position() }], authorize };
    const headers = { authorization: "Bearer x" };
    expect(await answer({ headers })).toMatchObject({ status: 403, body: { code: "FORBIDDEN" } });
    const [head, topics] = authorize.mock.calls[0] as unknown as [{ header(name: string): string }, string[]];
    expect([head.header("authorization"), topics]).toEqual(["Bearer x", ["a", "b"]]);
    expect((await answer({ method: "HEAD" })).status).toBe(403);
    expect(hub.stats()).toMatchObject({ sessions: 0, topics: 0 });
  });

  it("what is no clear yes is a no", async () => {
    for (const verdict of [undefined, null, 0, "yes", { topics: [] }]) {
      options = { topics: "t", authorize: () => verdict as unknown as boolean };
      expect((await answer()).status).toBe(403);
    }
  });

  it("may refuse in its own words", async () => {
    options = {
      topics: "t",
      authorize: () => ({
        status: 401,
        message: "Sign in.",
        code: "NO_TOKEN",
        headers: { "WWW-Authenticate": "Bearer" },
      }),
    };
    const { status, headers, body } = await answer();
    expect([status, headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
    expect(body).toEqual({ error: "Sign in.", code: "NO_TOKEN" });
  });

  it.each([
    ["throws", () => Promise.reject(new Error("secret"))],
    ["refuses with a status that is none", () => ({ status: 200 })],
    ["grants topics that can't be", () => ({ topics: [""] })],
    ["grants a position that is none", () => ({ topics: [{ topic: "t", notBefore: "x" }] })],
    ["grants a time that is none", () => ({ expiresAt: Number.NaN })],
    ["grants within a bound whose name is misspelt", () => ({ expireAt: 1 })],
    ["grants a topic with one", () => ({ topics: [{ topic: "t", notbefore: "x" }] })],
    ["gives the list of topics itself", () => []],
    ["gives a user", () => ({ id: 7, name: "Ann" })],
  ])("one that %s is reported, and becomes a 500 without its words", async (_, authorize) => {
    const reported = vi.spyOn(console, "error").mockImplementation(() => undefined);
    options = { topics: "t", authorize: authorize as unknown as () => boolean };
    const { status, body } = await answer();
    expect(reported).toHaveBeenCalledOnce();
    reported.mockRestore();
    expect([status, body]).toEqual([500, expect.objectContaining({ code: "CALLBACK_FAILED" })]);
    expect(JSON.stringify(body)).not.toContain("secret");
  });

  it("may grant other topics than were asked for", async () => {
    options = { topics: ["a", "b"], from: "start", authorize: () => ({ topics: ["b"] }) };
    await hub.publish("a", { data: 1 });
    await hub.publish("b", { data: 2 });
    const source = await openSource(server);
    await source.until("data: 2");
    expect(dataOf(source)).toEqual(["2"]);
    source.destroy();
  });

  it("is asked again at each return: rights that were taken away in mid-stream are gone, and come back", async () => {
    let isMember = true;
    options = { topics: "t", key: "ann", authorize: () => isMember };
    const first = await openSource(server);
    await hub.publish("t", { data: 1 });
    await first.until("data: 1");
    isMember = false;
    expect(hub.disconnect({ key: "ann" })).toBe(1);
    expect(await first.ended).toBe("complete");
    await hub.publish("t", { data: 2 });
    const second = await openSource(server, "/", cursorOf(first));
    expect(second.status).toBe(403);
    isMember = true;
    const third = await openSource(server, "/", cursorOf(first));
    await third.until("data: 2");
    expect(dataOf(third)).toEqual(["2"]);
    third.destroy();
  });
});

describe("notBefore", () => {
  it("nothing at or before it is sent, whatever the cursor or `from` says, and no gap tells of it", async () => {
    const ids = await hub.publish("t", numbered(6));
    options = { topics: { topic: "t", notBefore: ids[3] }, from: "start" };
    for (const cursor of [undefined, ids[0], ids[3]]) {
      const source = await openSource(server, "/", cursor);
      await source.until("data: 5");
      expect([dataOf(source), gapsOf(source)]).toEqual([["4", "5"], []]);
      source.destroy();
    }
    const later = await openSource(server, "/", ids[4]);
    await later.until("data: 5");
    expect(dataOf(later)).toEqual(["5"]);
    options = { ...options, from: { last: 5 } };
    const last = await openSource(server);
    await last.until("data: 5");
    expect(dataOf(last)).toEqual(["4", "5"]);
    for (const source of [later, last]) source.destroy();
  });

  it("of a topic that is named twice, the stricter one counts", async () => {
    const ids = await hub.publish("t", numbered(4));
    const topics = [{ topic: "t", notBefore: ids[2] }, "t", { topic: "t", notBefore: ids[0] }];
    const client = await connect(hub, { topics, from: "start" });
    await client.until(({ data }) => data.at(-1) === "3");
    expect(client.data).toEqual(["3"]);
  });

  it("loss is told of only where it may be seen", async () => {
    const kept = createHub({ retention: { maxEvents: 3 } });
    const ids = await kept.publish("t", numbered(10));
    const within = await connect(kept, {
      topics: { topic: "t", notBefore: ids[7] },
      lastEventId: ids[0],
    });
    await within.until(({ data }) => data.at(-1) === "9");
    expect([within.data, within.gaps]).toEqual([["8", "9"], []]);
    const beyond = await connect(kept, {
      topics: { topic: "t", notBefore: ids[4] },
      lastEventId: ids[0],
    });
    await beyond.until(({ data }) => data.at(-1) === "9");
    expect(beyond.data).toEqual(["7", "8", "9"]);
    expect(beyond.gaps).toEqual([{ topic: "t", reason: "trimmed", after: ids[4], next: ids[7] }]);
    // Of what was trimmed, some was closed to it in one topic, and had been seen in the other.
    const mixed = await connect(kept, {
      topics: ["other", { topic: "t", notBefore: ids[7] }],
      lastEventId: ids[1],
    });
    await mixed.until(({ data }) => data.at(-1) === "9");
    expect([mixed.data, mixed.gaps]).toEqual([["8", "9"], []]);
    await kept.close();
  });

  it("what is trimmed while it is read is no loss where it could not be seen", async () => {
    let trim: (() => Promise<unknown>) | undefined;
    const onCall = async (call: Call, moment: "before" | "after"): Promise<void> => {
      const work = call === "read" && moment === "before" ? trim : undefined;
      if (work === undefined) return;
      trim = undefined;
      await work();
    };
    const kept = createHub({ log: remoteLog(memoryLog(), { onCall }), retention: { maxEvents: 5 } });
    const ids = await kept.publish("t", numbered(10));
    trim = () => kept.publish("t", numbered(3, 10));
    const client = await connect(kept, {
      topics: ["other", { topic: "t", notBefore: ids[9] }],
      lastEventId: ids[5],
    });
    await client.until(({ data }) => data.at(-1) === "12");
    expect([trim, client.data, client.gaps]).toEqual([undefined, numbers(3, 10), []]);
    await kept.close();
  });

  it("whose topic ended before it counts as seen: a return is answered by 204", async () => {
    const [id] = await hub.publish("t", numbered(2));
    options = { topics: { topic: "t", notBefore: await hub.finish("t") } };
    expect((await openSource(server, "/", id)).status).toBe(204);
  });

  const seed = Number(process.env.EVERSTREAM_SEED ?? Math.floor(Math.random() * 2 ** 31));
  it(`topics with floors of their own are one ordered stream (seed ${seed})`, async () => {
    let state = seed;
    const random = (below: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
      return Math.floor((state / 2 ** 31) * below);
    };
    const names = ["a", "b", "c"];
    const published: { topic: string; id: string }[] = [];
    for (let index = 0; index < 200; index++) {
      const topic = names[random(3)] as string;
      published.push({ topic, id: await hub.publish(topic, { data: index }) });
    }
    for (let round = 0; round < 25; round++) {
      const floors = new Map(names.map((topic) => [topic, random(4) === 0 ? -1 : random(200)]));
      const cursor = random(3) === 0 ? -1 : random(200);
      const topics = names.map((topic) => ({ topic, notBefore: published[floors.get(topic) ?? -1]?.id }));
      options = { topics, from: "start" };
      const source = await openSource(server, "/", published[cursor]?.id);
      const end = String(200 + round);
      await hub.publish("a", { data: 200 + round });
      published.push({ topic: "a", id: await hub.position() });
      await source.until(`data: ${end}\n`);
      const expected = published.flatMap(({ topic }, index) =>
        index > cursor && index > (floors.get(topic) ?? -1) ? [String(index)] : [],
      );
      expect([dataOf(source), gapsOf(source)]).toEqual([expected, []]);
      source.destroy();
    }
  });

  it("holds for what waits in memory, too", async () => {
    const topics = ["a", "b"];
    const stalled = await openClient(hub, { topics });
    const [first] = await hub.publish("a", numbered(3));
    const [, floor] = await hub.publish("b", numbered(3, 3));
    await hub.publish("a", numbered(3, 6));
    const client = await connect(hub, {
      topics: ["a", { topic: "b", notBefore: floor }],
      lastEventId: first,
    });
    await client.until(({ data }) => data.at(-1) === "8");
    expect(client.data).toEqual(["1", "2", ...numbers(4, 5)]);
    stalled.leave();
  });

  it("one of a log that is gone closes what is kept, and says so to who had a cursor", async () => {
    const foreign = createHub();
    const notBefore = await foreign.publish("t", { data: 0 });
    await foreign.close();
    const ids = await hub.publish("t", numbered(3));
    options = { topics: ["u", { topic: "t", notBefore }], from: "start" };
    const [fresh, back] = [await openSource(server), await openSource(server, "/", ids[0])];
    await hub.publish("t", { data: 3 });
    for (const source of [fresh, back]) await source.until("data: 3");
    expect([dataOf(fresh), gapsOf(fresh)]).toEqual([["3"], []]);
    expect(dataOf(back)).toEqual(["3"]);
    expect(gapsOf(back)).toEqual([{ topic: "t", reason: "epoch", after: ids[0], next: ids[2] }]);
    for (const source of [fresh, back]) source.destroy();
  });

  it("a new epoch opens what it brings", async () => {
    const near = memoryLog();
    let startEpoch: () => void = () => undefined;
    const renewed = createHub({
      log: {
        open(feed) {
          startEpoch = () => feed.onEpoch([{ epoch: 77, first: 1 }], 0);
          return near.open(feed);
        },
      },
    });
    const ids = await renewed.publish("t", numbered(5));
    const client = await connect(renewed, { topics: { topic: "t", notBefore: ids[4] } });
    startEpoch();
    await client.until(({ gaps }) => gaps.length === 1);
    expect(client.gaps).toMatchObject([{ reason: "epoch" }]);
    await renewed.publish("t", { data: "new" });
    // What this log holds stands for what its new owner has written, from the sequence 1 on.
    await client.until(({ data }) => data.at(-1) === '"new"');
    expect(client.data).toEqual([...numbers(5), '"new"']);
    await renewed.close();
  });

  it("holds where a new epoch begins while the opening is under way", async () => {
    let changeOver: (() => void) | undefined;
    const renewed = createHub({
      log: {
        async open(feed) {
          const before = await memoryLog().open(feed);
          const later = await memoryLog().open(feed);
          let current = before;
          changeOver = () => {
            changeOver = undefined;
            current = later;
            feed.onEpoch(later.epochs, later.head);
          };
          return {
            epochs: before.epochs,
            head: before.head,
            append: (request) => current.append(request),
            read: (query) => {
              // Asked for once it is known what is closed.
              if (typeof query.after === "object") changeOver?.();
              return current.read(query);
            },
            follow: (topic) => current.follow(topic),
            unfollow: (topic) => current.unfollow(topic),
            expire: (now) => current.expire(now),
            close: () => Promise.all([before.close(), later.close()]).then(() => undefined),
          };
        },
      },
    });
    const ids = await renewed.publish("t", numbered(5));
    const client = await connect(renewed, { topics: { topic: "t", notBefore: ids[4] }, from: "start" });
    expect(changeOver).toBeUndefined();
    await renewed.publish("t", { data: "new" });
    await client.until(({ data }) => data.length === 1);
    expect(client.data).toEqual(['"new"']);
    await renewed.close();
  });

  it("one that is no position is refused", async () => {
    options = { topics: { topic: "t", notBefore: "yesterday" } };
    expect(await answer()).toMatchObject({ status: 400, body: { code: "INVALID_POSITION" } });
  });

  it("who left a room and joined it again gets what was said elsewhere, and nothing of what was said there meanwhile", async () => {
    let rooms: RespondOptions["topics"] = ["lobby", "room"];
    options = { topics: "lobby", key: "ann", authorize: () => ({ topics: rooms }) };
    const first = await openSource(server);
    await hub.publish("room", { data: "seen" });
    await first.until("seen");
    rooms = ["lobby"];
    hub.disconnect({ key: "ann" });
    await first.ended;
    await hub.publish("room", { data: "private" });
    await hub.publish("lobby", { data: "meanwhile" });
    rooms = ["lobby", { topic: "room", notBefore: await hub.position() }];
    await hub.publish("room", { data: "again" });
    const second = await openSource(server, "/", cursorOf(first));
    await second.until("again");
    expect([dataOf(second), gapsOf(second)]).toEqual([['"meanwhile"', '"again"'], []]);
    second.destroy();
  });
});

describe("expiresAt", () => {
  /** The clock on the wall, which goes only where the test says so, however long the rest takes. */
  let now: number;
  beforeEach(() => {
    now = Date.now();
    vi.spyOn(Date, "now").mockImplementation(() => now);
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it("ends the session in good order, with its position, and refuses until the rights are renewed", async () => {
    await hub.position();
    const timers = pulseSize();
    const expiresAt = now + 100;
    // The earlier of the two counts.
    options = { topics: "t", expiresAt: expiresAt + 60_000, authorize: () => ({ expiresAt }) };
    const source = await openSource(server);
    const id = await hub.publish("t", { data: 1 });
    await hub.publish("elsewhere", { data: 2 });
    const position = await hub.position();
    await source.until("data: 1");
    expect(hub.stats().sessions).toBe(1);
    now = expiresAt;
    expect(await source.ended).toBe("complete");
    expect(hub.stats()).toMatchObject({ sessions: 0, closed: { expired: 1 } });
    expect(source.events).toContainEqual({ event: "message", data: "1", lastEventId: id });
    expect(source.events.at(-1)).toEqual({ event: "sse:live", data: "", lastEventId: position });
    for (const method of ["GET", "HEAD"]) expect((await answer({ method })).status).toBe(403);
    expect(await answer()).toMatchObject({ body: { code: "RIGHTS_EXPIRED" } });
    await hub.publish("t", { data: 3 });
    options = { topics: "t", expiresAt: Date.now() + 60_000 };
    const renewed = await openSource(server, "/", cursorOf(source));
    await renewed.until("data: 3");
    expect([dataOf(renewed), gapsOf(renewed)]).toEqual([["3"], []]);
    renewed.destroy();
    await until(() => hub.stats().sessions === 0);
    expect(pulseSize()).toBe(timers);
  });

  it("rights that end while the opening is under way open nothing", async () => {
    const expiresAt = now + 50;
    const authorize = () => {
      now = expiresAt;
      return true;
    };
    options = { topics: "t", expiresAt, authorize };
    expect(await answer()).toMatchObject({ status: 403, body: { code: "RIGHTS_EXPIRED" } });
    expect(hub.stats()).toMatchObject({ sessions: 0, topics: 0 });
  });

  it("also where it is the log that takes its time", async () => {
    const expiresAt = now + 50;
    const onCall = (call: Call): void => {
      if (call === "states") now = expiresAt;
    };
    const slow = createHub({ log: remoteLog(memoryLog(), { onCall }) });
    const response = await slow.respond(new Request("http://localhost/"), {
      topics: "t",
      from: "start",
      expiresAt,
    });
    expect([response.status, slow.stats().closed]).toEqual([403, {}]);
    await slow.close();
  });

  it("a session that is behind keeps a cursor from which nothing is lost", async () => {
    const expiresAt = now + 100;
    const client = await connect(hub, { topics: "t", expiresAt });
    client.sink.stalled = true;
    for (const event of numbered(50)) await hub.publish("t", event);
    now = expiresAt;
    await client.until(({ session }) => session.closed);
    expect(client.session.closeReason).toBe("expired");
    client.sink.stalled = false;
    client.sink.drain();
    const again = await connect(hub, { topics: "t", lastEventId: client.lastEventId });
    await again.until(({ data }) => data.at(-1) === "49");
    expect([...client.data, ...again.data]).toEqual(numbers(50));
  });
});
