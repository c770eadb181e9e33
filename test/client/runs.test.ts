import { createHub, createRuns, type Hub, memoryLog, type Run, type Runs } from "everstream";
import { joinRun, type RunSnapshot, type StartRunOptions, startRun, stopRun } from "everstream/client";
import { serveForTest, type TestServer } from "everstream/testing";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { startServer } from "./server.ts";

let hub: Hub;
let runs: Runs;
let server: TestServer;
/** The producers that wait for the test's word, by run. */
let waiting: Map<string, { run: Run; go: () => void }>;
let produced: string[];
/** Called with each request; may answer in the routes' place. */
let intercept: (request: Request) => Response | undefined | Promise<Response | undefined>;

/** Resolves to the run's producer once it has begun. */
async function producer(id: string): Promise<{ run: Run; go: () => void }> {
  await expect.poll(() => waiting.get(id)).toBeDefined();
  return waiting.get(id) as { run: Run; go: () => void };
}

beforeEach(async () => {
  hub = createHub({ log: memoryLog() });
  runs = createRuns({ hub, joinWait: 5000 });
  waiting = new Map();
  produced = [];
  intercept = () => undefined;
  const routes = runs.routes({
    start: async (request, id) => {
      const input = (await request.json()) as { key?: string; text?: string[] };
      return {
        key: input.key,
        input,
        produce: async (run) => {
          produced.push(id);
          const { promise, resolve } = withResolvers();
          waiting.set(id, { run, go: resolve });
          for (const piece of input.text ?? []) await run.text(piece);
          await Promise.race([promise, new Promise((end) => run.signal.addEventListener("abort", end))]);
          return { tokens: 3 };
        },
      };
    },
    authorize: (request) => request.headers.get("x-user") !== "stranger",
    join: { retry: 10 },
  });
  server = await serveForTest({ fetch: async (request) => (await intercept(request)) ?? routes(request) });
});

afterEach(async () => {
  await runs.close();
  await hub.close();
  await server.close();
});

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

function start(options: StartRunOptions = {}): ReturnType<typeof startRun> {
  const run = startRun(`${server.url}/runs`, { minDelay: 10, ...options });
  onTestFinished(() => run.close());
  return run;
}

function join(id: string, from?: RunSnapshot): ReturnType<typeof joinRun> {
  const run = joinRun(`${server.url}/runs`, id, { minDelay: 10, from });
  onTestFinished(() => run.close());
  return run;
}

describe("startRun", () => {
  it("starts a run, tells its text as it comes, and ends with what `done` carried", async () => {
    const run = start({ input: { text: ["Hello", ", world"] } });
    const pieces: string[] = [];
    run.onText((piece) => pieces.push(piece));
    const { go } = await producer(run.id);
    await expect.poll(() => run.snapshot.text).toBe("Hello, world");
    expect(run.snapshot.state).toBe("running");
    go();
    const last = await run.finished;
    expect(last).toMatchObject({ state: "done", text: "Hello, world", result: { tokens: 3 } });
    expect(pieces.join("")).toBe("Hello, world");
    expect(run.status.state).toBe("closed");
  });

  it("sends again a start whose answer was lost, and starts once", async () => {
    let lost = 0;
    intercept = async (request) => {
      if (request.method !== "POST" || lost++ > 0) return undefined;
      await runs.routes({
        start: async () => ({
          produce: async (run) => {
            produced.push(run.id);
            await run.text("once");
          },
        }),
        authorize: () => true,
      })(request);
      return new Response("gone", { status: 502 });
    };
    const run = start({ id: "r1", input: {} });
    expect(await run.finished).toMatchObject({ state: "done", text: "once" });
    expect(lost).toBe(2);
    expect(produced).toEqual(["r1"]);
  });

  it("goes on after the last event where its connection was cut, by GET", async () => {
    const methods: string[] = [];
    const cursors: (string | null)[] = [];
    intercept = (request) => {
      methods.push(request.method);
      cursors.push(request.headers.get("last-event-id"));
      return undefined;
    };
    const run = start({ id: "r2", input: { text: ["one "] } });
    await expect.poll(() => run.snapshot.text).toBe("one ");
    hub.disconnect(() => true);
    const { run: producing, go } = await producer("r2");
    await producing.text("two");
    go();
    expect(await run.finished).toMatchObject({ state: "done", text: "one two" });
    expect(methods).toEqual(["POST", "GET"]);
    expect(cursors[1]).not.toBeNull();
  });

  it("joins by GET where the connection was cut between the answer and its first event", async () => {
    const raw = await startServer((exchange, index) => {
      if (index === 0) {
        exchange.open(": hello\n\n");
        setImmediate(() => exchange.cut());
        return;
      }
      exchange.open('event: token\nid: 1\ndata: {"content":"all"}\n\nevent: done\nid: 2\ndata: {}\n\n');
    });
    const run = startRun(`${raw.url}/runs`, { minDelay: 1 });
    expect(await run.finished).toMatchObject({ state: "done", text: "all" });
    expect(raw.exchanges.map(({ request }) => request.method)).toEqual(["POST", "GET"]);
  });

  it("is lost, with the server's code, where the start is refused", async () => {
    const first = start({ id: "r3", input: { key: "conversation" } });
    await producer("r3");
    const second = start({ id: "r4", input: { key: "conversation" } });
    expect(await second.finished).toMatchObject({ state: "lost", error: { code: "RUN_BUSY" } });
    expect(first.snapshot.state).toBe("running");
  });

  it("sends a body as it is in place of JSON, and refuses both", async () => {
    let type: string | null = "";
    intercept = async (request) => {
      type = request.headers.get("content-type");
      return new Response(null, { status: 400 });
    };
    const run = start({ body: new URLSearchParams({ text: "x" }) });
    expect(await run.finished).toMatchObject({ state: "lost", error: { code: "HTTP_STATUS" } });
    expect(type).toMatch(/^application\/x-www-form-urlencoded/);
    expect(() => start({ body: "x", input: 1 })).toThrow(expect.objectContaining({ code: "INVALID_OPTION" }));
  });
});

describe("joinRun", () => {
  it("gives all of the text to whoever comes later, and to a late listener as one piece", async () => {
    const first = start({ id: "j1", input: { text: ["a", "b", "c"] } });
    await expect.poll(() => first.snapshot.text).toBe("abc");
    const second = join("j1");
    await expect.poll(() => second.snapshot.text).toBe("abc");
    const late: string[] = [];
    second.onText((piece) => late.push(piece));
    expect(late).toEqual(["abc"]);
    (await producer("j1")).go();
    expect((await second.finished).state).toBe("done");
  });

  it("waits for a start that is still on its way", async () => {
    const early = join("j2");
    await expect.poll(() => early.status.state).toBe("connecting");
    start({ id: "j2", input: { text: ["here"] } });
    await expect.poll(() => early.snapshot.text).toBe("here");
  });

  it("goes on from what an earlier page had stored, and asks only for the rest", async () => {
    const first = start({ id: "j3", input: { text: ["first "] } });
    await expect.poll(() => first.snapshot.text).toBe("first ");
    const stored = JSON.parse(JSON.stringify(first.snapshot)) as RunSnapshot;
    first.close();
    const { run, go } = await producer("j3");
    await run.text("second");
    const cursors: (string | null)[] = [];
    intercept = (request) => {
      cursors.push(request.headers.get("last-event-id"));
      return undefined;
    };
    const second = join("j3", stored);
    const pieces: string[] = [];
    second.onText((piece) => pieces.push(piece));
    go();
    expect(await second.finished).toMatchObject({ state: "done", text: "first second" });
    expect(pieces).toEqual(["first ", "second"]);
    expect(cursors).toEqual([stored.lastEventId]);
  });

  it("asks nothing where the stored run is over", async () => {
    const first = start({ id: "j4", input: {} });
    (await producer("j4")).go();
    const over = await first.finished;
    intercept = () => expect.unreachable("nothing is asked");
    expect(await join("j4", over).finished).toEqual(over);
  });

  it("reads from the start where the stored position can't be resumed, and tells no text twice", async () => {
    const first = start({ id: "j5", input: { text: ["whole"] } });
    await expect.poll(() => first.snapshot.text).toBe("whole");
    (await producer("j5")).go();
    await first.finished;
    const stored: RunSnapshot = { ...first.snapshot, state: "running", text: "wh", lastEventId: "zzz-1" };
    const second = join("j5", stored);
    const pieces: string[] = [];
    second.onText((piece) => pieces.push(piece));
    expect(await second.finished).toMatchObject({ state: "done", text: "whole" });
    expect(pieces.join("")).toBe("whole");
  });

  it("is lost where there is no such run, and says so", async () => {
    await runs.close();
    runs = createRuns({ hub, joinWait: 0, namespace: "other" });
    const routes = runs.routes({ authorize: () => true });
    intercept = (request) => routes(request);
    expect(await join("nobody").finished).toMatchObject({ state: "lost", error: { code: "UNKNOWN_RUN" } });
  });

  it("refuses what was stored of another run", () => {
    const run = start({ id: "j6" });
    expect(() => join("j7", run.snapshot)).toThrow(expect.objectContaining({ code: "INVALID_OPTION" }));
  });

  it("tells listeners of changes, of an end at once", async () => {
    const run = start({ id: "j8", input: { text: ["x"] } });
    const seen: string[] = [];
    run.subscribe(() => seen.push(run.snapshot.state));
    await expect.poll(() => seen).toContain("running");
    (await producer("j8")).go();
    await run.finished;
    expect(seen.at(-1)).toBe("done");
  });

  it("resolves `finished` with what is known when it is closed, by hand or by its signal", async () => {
    const control = new AbortController();
    const run = start({ id: "j9", input: { text: ["x"] }, signal: control.signal });
    await expect.poll(() => run.snapshot.text).toBe("x");
    const other = join("j9");
    await expect.poll(() => other.snapshot.text).toBe("x");
    control.abort();
    other.close();
    expect(await run.finished).toMatchObject({ state: "running", text: "x" });
    expect(await other.finished).toMatchObject({ state: "running" });
  });
});

describe("stopRun", () => {
  it("ends the run for everybody, and its producer", async () => {
    const first = start({ id: "s1", input: { text: ["x"] } });
    const second = join("s1");
    const { run } = await producer("s1");
    await first.stop();
    expect(await first.finished).toMatchObject({ state: "stopped", text: "x", error: { code: "stopped" } });
    expect((await second.finished).state).toBe("stopped");
    expect(run.signal.aborted).toBe(true);
  });

  it("may come before the start, and may be repeated", async () => {
    await stopRun(`${server.url}/runs`, "s2");
    await stopRun(`${server.url}/runs`, "s2");
    const run = start({ id: "s2", input: { text: ["never"] } });
    expect(await run.finished).toMatchObject({ state: "stopped" });
    expect(produced).toEqual([]);
  });

  it("is tried again where the server fails, and gives up with the server's word where it refuses", async () => {
    const run = start({ id: "s3", input: {} });
    await producer("s3");
    let failures = 0;
    intercept = (request) =>
      request.method === "DELETE" && failures++ === 0 ? new Response("", { status: 503 }) : undefined;
    await stopRun(`${server.url}/runs`, "s3");
    expect((await run.finished).state).toBe("stopped");

    start({ id: "s4", input: {} });
    await producer("s4");
    await expect(
      stopRun(`${server.url}/runs`, "s4", { headers: () => ({ "x-user": "stranger" }) }),
    ).rejects.toMatchObject({ code: "FORBIDDEN" });
  });

  it("keeps the URL's query", async () => {
    const urls: string[] = [];
    intercept = (request) => {
      urls.push(request.url.slice(server.url.length));
      return new Response(null, { status: 204 });
    };
    await stopRun(`${server.url}/runs/?tenant=1`, "a b");
    expect(urls).toEqual(["/runs/a%20b?tenant=1"]);
  });
});
