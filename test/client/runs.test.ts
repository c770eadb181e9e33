import { createRuns } from "everstream";
import {
  failureOf,
  joinRun,
  type RunSnapshot,
  type StartRunOptions,
  startRun,
  stopRun,
} from "everstream/client";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { type RunServer, startRunServer } from "./run-server.ts";
import { startServer } from "./server.ts";

let server: RunServer;

beforeEach(async () => {
  server = await startRunServer();
});

afterEach(() => server.close());

function start(options: StartRunOptions = {}): ReturnType<typeof startRun> {
  const run = startRun(server.url, { minDelay: 10, ...options });
  onTestFinished(() => run.close());
  return run;
}

function join(id: string, from?: RunSnapshot): ReturnType<typeof joinRun> {
  const run = joinRun(server.url, id, { minDelay: 10, from });
  onTestFinished(() => run.close());
  return run;
}

describe("startRun", () => {
  it("starts a run, tells its text as it comes, and ends with what `done` carried", async () => {
    const run = start({ input: { text: ["Hello", ", world"] } });
    const pieces: string[] = [];
    run.onText((piece) => pieces.push(piece));
    const { go } = await server.producer(run.id);
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
    server.intercept = async (request) => {
      if (request.method !== "POST" || lost++ > 0) return undefined;
      await server.runs.start({ id: "r1", produce: (run) => run.text("once") });
      return new Response("gone", { status: 502 });
    };
    const run = start({ id: "r1", input: {} });
    expect(await run.finished).toMatchObject({ state: "done", text: "once" });
    expect(lost).toBe(2);
    expect(server.produced).toEqual([]);
  });

  it("goes on after the last event where its connection was cut, by GET", async () => {
    const methods: string[] = [];
    const cursors: (string | null)[] = [];
    server.intercept = (request) => {
      methods.push(request.method);
      cursors.push(request.headers.get("last-event-id"));
      return undefined;
    };
    const run = start({ id: "r2", input: { text: ["one "] } });
    await expect.poll(() => run.snapshot.text).toBe("one ");
    server.hub.disconnect(() => true);
    const { run: producing, go } = await server.producer("r2");
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
    await server.producer("r3");
    const second = start({ id: "r4", input: { key: "conversation" } });
    expect(await second.finished).toMatchObject({ state: "lost", error: { code: "RUN_BUSY" } });
    expect(first.snapshot.state).toBe("running");
  });

  it("sends a body as it is in place of JSON, and refuses both", async () => {
    let type: string | null = "";
    server.intercept = async (request) => {
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
    (await server.producer("j1")).go();
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
    const { run, go } = await server.producer("j3");
    await run.text("second");
    const cursors: (string | null)[] = [];
    server.intercept = (request) => {
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
    (await server.producer("j4")).go();
    const over = await first.finished;
    server.intercept = () => expect.unreachable("nothing is asked");
    expect(await join("j4", over).finished).toEqual(over);
  });

  it("reads from the start where the stored position can't be resumed, and tells no text twice", async () => {
    const first = start({ id: "j5", input: { text: ["whole"] } });
    await expect.poll(() => first.snapshot.text).toBe("whole");
    (await server.producer("j5")).go();
    await first.finished;
    const stored: RunSnapshot = { ...first.snapshot, state: "running", text: "wh", lastEventId: "zzz-1" };
    const second = join("j5", stored);
    const pieces: string[] = [];
    second.onText((piece) => pieces.push(piece));
    expect(await second.finished).toMatchObject({ state: "done", text: "whole" });
    expect(pieces.join("")).toBe("whole");
  });

  it("tells events of a run that is read once more from its start once, and of joined text the rest", async () => {
    const gap = { reason: "epoch", after: "3", next: "4" };
    const raw = await startServer((exchange, index) => {
      const text = (id: number, content: string): string =>
        `event: token\nid: ${id}\ndata: ${JSON.stringify({ content })}\n\n`;
      const step = (id: number): string => `event: progress\nid: ${id}\ndata: {"step":"${id}"}\n\n`;
      if (index === 0)
        exchange.open(`${step(2)}${text(3, "Hel")}event: sse:gap\ndata: ${JSON.stringify(gap)}\n\n`);
      else
        exchange.open(
          `${text(1, "> ")}${step(2)}${text(5, "Hello")}${step(6)}event: done\nid: 7\ndata: {}\n\n`,
        );
    });
    const before: RunSnapshot = { ...start({ id: "j10" }).snapshot, text: "> ", lastEventId: "1" };
    const run = joinRun(`${raw.url}/runs`, "j10", { from: before });
    onTestFinished(() => run.close());
    const events: string[] = [];
    run.onEvent(({ type, data }) => events.push(`${type} ${data}`));
    expect(await run.finished).toMatchObject({ state: "done", text: "> Hello" });
    expect(raw.exchanges).toHaveLength(2);
    expect(events).toEqual([
      'progress {"step":"2"}',
      'token {"content":"Hel"}',
      'token {"content":"lo"}',
      'progress {"step":"6"}',
      "done {}",
    ]);
  });

  it("asks anew for a run that was stored as lost", async () => {
    server.intercept = () => new Response(null, { status: 401 });
    const stored = await join("j11").finished;
    expect(stored.state).toBe("lost");
    server.intercept = () => undefined;
    await server.runs.start({ id: "j11", produce: (run) => run.text("here") });
    expect(await join("j11", stored).finished).toMatchObject({ state: "done", text: "here" });
  });

  it("reads all of the run, whatever defaults for streams say", async () => {
    const first = start({ id: "j12", input: { text: ["Hello", " world"] } });
    await expect.poll(() => first.snapshot.text).toBe("Hello world");
    // As a provider's defaults come, which are of streams.
    const defaults = { minDelay: 10, share: true, resume: "never" };
    const runs = [joinRun(server.url, "j12", defaults), joinRun(server.url, "j12", defaults)];
    for (const run of runs) await expect.poll(() => run.snapshot.text).toBe("Hello world");
    server.hub.disconnect(() => true);
    const { run, go } = await server.producer("j12");
    await run.text(" again");
    go();
    for (const run of runs) expect((await run.finished).text).toBe("Hello world again");
  });

  it("is lost where there is no such run, and says so", async () => {
    const runs = createRuns({ hub: server.hub, joinWait: 0, namespace: "other" });
    onTestFinished(() => runs.close());
    const routes = runs.routes({ authorize: () => true });
    server.intercept = (request) => routes(request);
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
    (await server.producer("j8")).go();
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

it("is in error whatever its code is called", async () => {
  server.intercept = () =>
    new Response('event: error\nid: 1\ndata: {"code":"constructor","message":"m"}\n\n', {
      headers: { "Content-Type": "text/event-stream" },
    });
  const error = { code: "constructor", message: "m" };
  expect(await join("e9").finished).toMatchObject({ state: "error", error });
});

describe("stopRun", () => {
  it("ends the run for everybody, and its producer", async () => {
    const first = start({ id: "s1", input: { text: ["x"] } });
    const second = join("s1");
    const { run } = await server.producer("s1");
    await first.stop();
    expect(await first.finished).toMatchObject({ state: "stopped", text: "x", error: { code: "stopped" } });
    expect((await second.finished).state).toBe("stopped");
    expect(run.signal.aborted).toBe(true);
  });

  it("ends the run also where following it was aborted", async () => {
    const control = new AbortController();
    const run = start({ id: "s0", input: { text: ["x"] }, signal: control.signal });
    const other = join("s0");
    await expect.poll(() => other.snapshot.text).toBe("x");
    control.abort();
    await run.stop();
    expect((await other.finished).state).toBe("stopped");
  });

  it("may come before the start, and may be repeated", async () => {
    await stopRun(server.url, "s2");
    await stopRun(server.url, "s2");
    const run = start({ id: "s2", input: { text: ["never"] } });
    expect(await run.finished).toMatchObject({ state: "stopped" });
    expect(server.produced).toEqual([]);
  });

  it("is tried again where the server fails, and gives up with the server's word where it refuses", async () => {
    const run = start({ id: "s3", input: {} });
    await server.producer("s3");
    let failures = 0;
    server.intercept = (request) =>
      request.method === "DELETE" && failures++ === 0 ? new Response("", { status: 503 }) : undefined;
    await stopRun(server.url, "s3");
    expect((await run.finished).state).toBe("stopped");

    start({ id: "s4", input: {} });
    await server.producer("s4");
    await expect(
      stopRun(server.url, "s4", { headers: () => ({ "x-user": "stranger" }) }),
    ).rejects.toMatchObject({ code: "FORBIDDEN" });
  });

  it("reads no more of a refusal than it tells, of one without an end, too", async () => {
    let isOver = false;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(65_536).fill(120)),
      cancel: () => {
        isOver = true;
      },
    });
    server.intercept = () => new Response(body, { status: 400 });
    const error = await stopRun(server.url, "s5").catch((thrown: unknown) => thrown);
    expect(failureOf(error)).toMatchObject({ status: 400, body: "x".repeat(2048) });
    await expect.poll(() => isOver).toBe(true);
  });

  it("keeps the URL's query", async () => {
    const urls: string[] = [];
    server.intercept = (request) => {
      urls.push(request.url.slice(server.url.length));
      return new Response(null, { status: 204 });
    };
    await stopRun(`${server.url}/?tenant=1`, "a b");
    expect(urls).toEqual(["/a%20b?tenant=1"]);
  });
});
