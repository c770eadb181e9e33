// Input that can't be used: an error that says what to do, before anything was begun.
import { getEventListeners } from "node:events";
import {
  createHub,
  type Hub,
  type HubOptions,
  type PublishOptions,
  type ReadOptions,
  type RespondOptions,
  type Retention,
  type SessionFilter,
  type SlowPolicy,
  type SubscribeOptions,
} from "everstream";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { connect, numbered } from "./client.ts";

let hub: Hub;
beforeEach(() => {
  hub = createHub();
});
afterEach(async () => {
  await hub.close();
  vi.restoreAllMocks();
});

const code = (expected: string) => expect.objectContaining({ name: "EverstreamError", code: expected });
const request = (): Request => new Request("http://localhost/");
const nothing = (): void => undefined;

describe("disconnect", () => {
  beforeEach(async () => {
    for (const key of ["ann", "bob"]) await connect(hub, { topics: "t", key });
  });

  it.each([
    ["a key that is not there", { key: undefined }],
    ["a key that is not there beside a topic", { topic: "t", key: undefined }],
    ["a topic that is not there", { topic: null }],
    ["a key that is no text", { key: 7 }],
    ["nothing", {}],
    ["a name that it does not know", { keys: "ann" }],
    ["one name that it does not know beside another", { key: "ann", topics: "t" }],
    ["no filter", undefined],
    ["null", null],
    ["a text", "ann"],
    ["a promise for an answer", async () => false],
  ])("refuses %s, and ends nobody", (_, filter) => {
    expect(() => hub.disconnect(filter as unknown as SessionFilter)).toThrow(code("INVALID_OPTION"));
    expect(hub.stats().sessions).toBe(2);
  });

  it("ends nobody where the function throws, however late", () => {
    let asked = 0;
    const failing = (): boolean => {
      if (++asked === 2) throw new Error("no");
      return true;
    };
    expect(() => hub.disconnect(failing)).toThrow("no");
    expect(hub.stats().sessions).toBe(2);
  });

  it("refuses a reason that is none, and ends nobody", () => {
    expect(() => hub.disconnect({ key: "ann" }, "because" as "kicked")).toThrow(code("INVALID_OPTION"));
    expect(hub.stats()).toMatchObject({ sessions: 2, closed: {} });
  });

  it("ends all where a function says so", () => {
    expect(hub.disconnect(() => true)).toBe(2);
    expect(hub.stats().sessions).toBe(0);
  });
});

describe("publish", () => {
  it("counts `meta` for `maxEventBytes`, as bytes, names and values", async () => {
    const small = createHub({ limits: { maxEventBytes: 1000 } });
    for (const meta of [{ a: "y".repeat(1000) }, { ["n".repeat(1000)]: "" }, { a: "–".repeat(400) }]) {
      const publishing = small.publish("t", { text: "x", meta });
      await expect(publishing).rejects.toThrow(code("EVENT_TOO_LARGE"));
    }
    await small.publish("t", { text: "x".repeat(400), meta: { a: "y".repeat(400) } });
    await expect(small.publish("t", { text: "x".repeat(600), meta: { a: "y".repeat(400) } })).rejects.toThrow(
      code("EVENT_TOO_LARGE"),
    );
    expect(small.stats().published).toBe(1);
    await small.close();
  });

  it.each([{}, 17, false])("refuses the `expectLast` %j as what it is: no position", async (expectLast) => {
    const options = { expectLast } as unknown as PublishOptions;
    await expect(hub.publish("t", { data: 1 }, options)).rejects.toThrow(code("INVALID_POSITION"));
  });

  it("refuses options that are none", async () => {
    const options = null as unknown as PublishOptions;
    await expect(hub.publish("t", { data: 1 }, options)).rejects.toThrow(code("INVALID_OPTION"));
  });

  it.each([undefined, null, 5, "1 day"])("refuses a `retention` function's %j", async (policy) => {
    const wrong = createHub({ retention: () => policy as unknown as Retention });
    await expect(wrong.publish("t", { data: 1 })).rejects.toThrow(code("INVALID_OPTION"));
    expect(wrong.stats().published).toBe(0);
    await wrong.close();
  });

  it.each([null, 5, "1 day"])("refuses %j for `retention`", async (policy) => {
    const retention = policy as unknown as Retention;
    expect(() => createHub({ retention })).toThrow(code("INVALID_OPTION"));
    await expect(hub.publish("t", { data: 1 }, { retention })).rejects.toThrow(code("INVALID_OPTION"));
  });
});

describe("read", () => {
  it.each([
    { limit: 0 },
    { limit: -1 },
    { limit: Number.NaN },
    { limit: 1.5 },
    { limit: "x" },
    { last: Number.NaN },
    { last: -1 },
    { last: "2" },
    null,
  ])("refuses %j, with which a loop over pages might never end", async (options) => {
    await hub.publish("t", numbered(5));
    const reading = hub.read("t", options as unknown as ReadOptions);
    await expect(reading).rejects.toThrow(code("INVALID_OPTION"));
  });

  it("of nothing is nothing", async () => {
    await hub.publish("t", numbered(5));
    expect(await hub.read("t", { last: 0 })).toMatchObject({ events: [], complete: true });
  });
});

describe("outlived", () => {
  it("refuses a position that is none", async () => {
    await expect(hub.outlived("17")).rejects.toThrow(code("INVALID_POSITION"));
  });
});

describe("subscribe and events", () => {
  it.each([undefined, null, {}])("subscribe refuses the listener %j", (listener) => {
    expect(() => hub.subscribe("t", listener as unknown as () => void)).toThrow(code("INVALID_OPTION"));
    expect(hub.stats().subscriptions).toBe(0);
  });

  const wrong: [string, string, SubscribeOptions][] = [
    ["topic", "", {}],
    ["`from`", "t", { from: "end" as "now" }],
  ];

  it.each(wrong)("with a wrong %s leave no listener on the signal", (_, topic, options) => {
    const { signal } = new AbortController();
    for (let times = 0; times < 50; times++) {
      expect(() => hub.subscribe(topic, nothing, { ...options, signal })).toThrow();
      expect(() => hub.events(topic, { ...options, signal })).toThrow();
    }
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  it.each([{ signal: {} }, { signal: new AbortController() }, null])("refuse the options %j", (options) => {
    const given = options as unknown as SubscribeOptions;
    expect(() => hub.subscribe("t", nothing, given)).toThrow(code("INVALID_OPTION"));
    expect(() => hub.events("t", given)).toThrow(code("INVALID_OPTION"));
    expect(hub.stats().subscriptions).toBe(0);
  });
});

describe("respond", () => {
  it.each([
    ["no options", undefined],
    ["null", null],
    ["a key that is no text", { key: 5 }],
    ["an `authorize` that is no function", { authorize: true }],
    ["a `compaction` that can't be", { compaction: { key: "k" } }],
    ["headers that are no object", { headers: "X-Name: b" }],
    ["headers of a kind whose entries can't be seen", { headers: new Headers({ "X-Name": "b" }) }],
    ["a header that no server sends", { headers: { "X-Name": "b\u4e2d" } }],
    ["a header that would be two", { headers: { "X-Name": "b\r\nSet-Cookie: a=b" } }],
    ["a header without a value", { headers: { "X-Name": undefined } }],
    ["a header's name that is none", { headers: { "X Name": "b" } }],
    ["a heartbeat that is none", { heartbeat: "15s" }],
    ["a heartbeat that is null", { heartbeat: null }],
  ])("refuses %s, and opens nothing", async (_, options) => {
    const given = (options && { topics: "t", ...options }) as unknown as RespondOptions;
    // What was said before must not hide it.
    await (await hub.respond(request(), { topics: "t", highWaterMark: 1000 })).body?.cancel();
    await expect(hub.respond(request(), given)).rejects.toThrow(code("INVALID_OPTION"));
    expect(hub.stats()).toMatchObject({ sessions: 0, topics: 0 });
  });

  it("refuses what is no number, also right after the same options with none", async () => {
    const open = (options: object) =>
      hub.respond(request(), { topics: "t", highWaterMark: 1000, ...options });
    await (await open({})).body?.cancel();
    for (const stallTimeout of [Number.NaN, Number.POSITIVE_INFINITY]) {
      await expect(open({ stallTimeout })).rejects.toThrow(code("INVALID_OPTION"));
    }
  });

  it("takes a key that is `undefined` for none, and headers of any text that a server can send", async () => {
    const options = { topics: "t", key: undefined, headers: { "X-Name": "", "X-Other": "b\tü" } };
    const response = await hub.respond(request(), options as unknown as RespondOptions);
    expect(response.headers.get("x-other")).toBe("b\tü");
    await response.body?.cancel();
  });

  it("masks a refusal of `authorize` whose headers can't be sent, and reports it", async () => {
    const reported = vi.spyOn(console, "error").mockImplementation(nothing);
    const authorize = () => ({ status: 403, headers: { "X-Name": "b\u4e2d" } });
    const response = await hub.respond(request(), { topics: "t", authorize });
    expect([response.status, hub.stats().refused]).toEqual([500, { failed: 1 }]);
    expect(reported).toHaveBeenCalledWith(expect.any(String), code("INVALID_OPTION"));
  });
});

describe("close", () => {
  it.each([Number.NaN, -5, "30s", Number.POSITIVE_INFINITY])(
    "refuses to be done within %s, and goes on as before",
    async (within) => {
      await expect(hub.close({ within: within as number })).rejects.toThrow(code("INVALID_OPTION"));
      await hub.publish("t", { data: 1 });
    },
  );
});

describe("a `slowConsumer` function that gives nothing, or throws", () => {
  const failing = (): Hub =>
    createHub({
      slowConsumer: (topic) => {
        if (topic === "throws") throw new Error("no policy");
        return (topic === "fine" ? "resume" : undefined) as SlowPolicy;
      },
    });
  const left = { topics: 1, subscriptions: 1, sessions: 0 };

  it("leaves no topic and no subscription behind", async () => {
    vi.spyOn(console, "error").mockImplementation(nothing);
    const wrong = failing();
    await wrong.subscribe("fine", nothing).ready;
    for (let times = 0; times < 5; times++) {
      expect(() => wrong.subscribe(`nothing ${times}`, nothing)).toThrow(code("INVALID_OPTION"));
      expect(() => wrong.events(["fine", "throws"])).toThrow("no policy");
      expect((await wrong.respond(request(), { topics: `nothing ${times}` })).status).toBe(503);
    }
    expect(wrong.stats()).toMatchObject(left);
    await wrong.close();
  });

  it("does so also where the hub was never used before", async () => {
    vi.spyOn(console, "error").mockImplementation(nothing);
    const wrong = failing();
    await expect(wrong.subscribe("nothing", nothing).ready).rejects.toThrow(code("INVALID_OPTION"));
    expect(wrong.stats()).toMatchObject({ topics: 0, subscriptions: 0 });
    await wrong.close();
  });
});

describe("createHub", () => {
  it.each([{ log: {} }, { log: null }, { limits: 5 }, { slowConsumer: null }])("refuses %j", (options) => {
    expect(() => createHub(options as unknown as HubOptions)).toThrow(code("INVALID_OPTION"));
  });
});
