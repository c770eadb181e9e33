import { createRunStore, type RunStore } from "everstream/client";
import { afterEach, beforeEach, expect, it, onTestFinished } from "vitest";
import { type RunServer, startRunServer } from "./run-server.ts";

let server: RunServer;
let store: RunStore;

beforeEach(async () => {
  server = await startRunServer();
  store = createRunStore(server.url, { minDelay: 10 });
});

afterEach(() => server.close());

/** Listens for as long as the test lasts. */
function listen(): () => void {
  const stop = store.subscribe(() => undefined);
  onTestFinished(stop);
  return stop;
}

it("has no side effect until it has a listener", async () => {
  const asked: string[] = [];
  server.intercept = (request) => {
    asked.push(request.method);
    return undefined;
  };
  store.join("a");
  expect(store.getSnapshot()).toMatchObject({ run: undefined, status: { state: "idle" } });
  expect(asked).toEqual([]);
  listen();
  await expect.poll(() => asked).toEqual(["GET"]);
});

it("starts a run, shows it as it goes on, and stops it", async () => {
  listen();
  const id = store.start({ input: { text: ["one"] } });
  await expect.poll(() => store.getSnapshot().run).toMatchObject({ id, state: "running", text: "one" });
  expect(store.getSnapshot().status.state).toBe("open");
  await store.stop();
  await expect.poll(() => store.getSnapshot().run?.state).toBe("stopped");
});

it("joins a run that is there, and leaves it alone where it is the one that is shown", async () => {
  listen();
  const id = store.start({ input: { text: ["one"] } });
  await expect.poll(() => store.getSnapshot().run?.text).toBe("one");
  const asked: string[] = [];
  server.intercept = (request) => {
    asked.push(request.method);
    return undefined;
  };
  store.join(id);
  expect(store.getSnapshot().run?.text).toBe("one");
  expect(asked).toEqual([]);

  const other = createRunStore(server.url);
  onTestFinished(other.subscribe(() => undefined));
  other.join(id);
  await expect.poll(() => other.getSnapshot().run?.text).toBe("one");
});

it("shows a new run in place of the one before, which goes on", async () => {
  listen();
  const first = store.start({ input: { text: ["one"] } });
  await expect.poll(() => store.getSnapshot().run?.text).toBe("one");
  const second = store.start({ input: { text: ["two"] } });
  await expect.poll(() => store.getSnapshot().run).toMatchObject({ id: second, text: "two" });
  expect(await server.runs.get(first)).toMatchObject({ state: "running" });
  store.join(undefined);
  expect(store.getSnapshot().run).toBeUndefined();
});

it.each([
  ["another run", () => void store.start({ input: {} })],
  ["nothing", () => store.join(null)],
])("starts a run also where %s is shown in its place before the server has it", async (_, leave) => {
  listen();
  const first = store.start({ input: { text: ["one"] } });
  leave();
  await server.producer(first);
  expect(store.getSnapshot().run?.id).not.toBe(first);
  // It is followed no further.
  const others = store.getSnapshot().run ? 1 : 0;
  await expect.poll(() => server.hub.stats().sessions).toBe(others);
});

it("lets go of the connection a moment after its last listener, and goes on from there with the next", async () => {
  const stop = listen();
  const id = store.start({ input: { text: ["one "] } });
  await expect.poll(() => store.getSnapshot().run?.text).toBe("one ");
  stop();
  await expect.poll(() => server.hub.stats().sessions).toBe(0);
  const { run, go } = await server.producer(id);
  await run.text("two");
  const cursors: (string | null)[] = [];
  server.intercept = (request) => {
    cursors.push(request.headers.get("last-event-id"));
    return undefined;
  };
  listen();
  go();
  await expect.poll(() => store.getSnapshot().run).toMatchObject({ state: "done", text: "one two" });
  expect(cursors).toHaveLength(1);
  expect(cursors[0]).toBeTruthy();
});

it("keeps the connection where listeners only change places", async () => {
  const asked: string[] = [];
  server.intercept = (request) => {
    asked.push(request.method);
    return undefined;
  };
  store.join("b");
  const stop = listen();
  stop();
  listen();
  await server.runs.start({ id: "b", produce: (run) => run.text("here") });
  await expect.poll(() => store.getSnapshot().run?.text).toBe("here");
  expect(asked).toEqual(["GET"]);
});

it("joins a run anew that was lost", async () => {
  server.intercept = () => new Response(null, { status: 401 });
  listen();
  store.join("c");
  await expect.poll(() => store.getSnapshot().run?.state).toBe("lost");
  server.intercept = () => undefined;
  await server.runs.start({ id: "c", produce: (run) => run.text("here") });
  store.join("c");
  await expect.poll(() => store.getSnapshot().run).toMatchObject({ state: "done", text: "here" });
});

it("starts a run without listeners, and lets go of it once the server has it", async () => {
  const id = store.start({ input: { text: ["one "] } });
  const { run, go } = await server.producer(id);
  await expect.poll(() => server.hub.stats().sessions).toBe(0);
  await run.text("two");
  listen();
  go();
  await expect.poll(() => store.getSnapshot().run).toMatchObject({ id, state: "done", text: "one two" });
});

it("starts a run whose listener leaves before it could be asked for", async () => {
  const gone = new Promise<void>((resolve) => {
    server.intercept = (request) => {
      if (request.method === "GET") request.signal.addEventListener("abort", () => resolve());
      return undefined;
    };
  });
  // Leaves after the store, so that what becomes of the store has happened when this one has gone.
  const other = createRunStore(server.url);
  other.join("other");
  const leaveOther = other.subscribe(() => undefined);
  const slow = createRunStore(server.url, { headers: () => gone.then(() => ({})) });
  const leave = slow.subscribe(() => undefined);
  const id = slow.start({ input: {} });
  leave();
  leaveOther();
  await server.producer(id);
  await expect.poll(() => server.hub.stats().sessions).toBe(0);
});

it.each(["shown", "only named"])("stops a run without listeners that is %s", async (how) => {
  const first = createRunStore(server.url);
  const id = first.start({ input: { text: ["one"] } });
  await server.producer(id);
  store.join(id);
  if (how === "shown") {
    const stop = listen();
    await expect.poll(() => store.getSnapshot().run?.text).toBe("one");
    stop();
  }
  await expect.poll(() => server.hub.stats().sessions).toBe(0);
  await store.stop();
  await expect.poll(() => server.runs.get(id)).toMatchObject({ state: "stopped" });
});

it("asks nothing to stop a run that is over, or none", async () => {
  listen();
  await store.stop();
  const id = store.start({ input: {} });
  (await server.producer(id)).go();
  await expect.poll(() => store.getSnapshot().run?.state).toBe("done");
  server.intercept = () => expect.unreachable("nothing is asked");
  await store.stop();
});

it("can be used again after its first listener met an option that can't be used", async () => {
  let minDelay = -1;
  const careless = createRunStore(server.url, () => ({ minDelay }));
  careless.join("d");
  const subscribe = () => careless.subscribe(() => undefined);
  expect(subscribe).toThrow(expect.objectContaining({ code: "INVALID_OPTION" }));
  minDelay = 10;
  await server.runs.start({ id: "d", produce: (run) => run.text("here") });
  onTestFinished(subscribe());
  await expect.poll(() => careless.getSnapshot().run).toMatchObject({ state: "done", text: "here" });
});
