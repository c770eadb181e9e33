// Whose a run is stands in its first event. Until it is in the log, nobody is to get or to stop what may not be theirs.
import { createHub, type RunRoutesOptions, type Runs } from "everstream";
import { collectEvents } from "everstream/testing";
import { afterEach, describe, expect, it } from "vitest";
import { aborted, Cluster, hubHeldAt } from "./nodes.ts";

let cluster: Cluster;
afterEach(() => cluster.close());

const userOf = (request: Request): string | null => request.headers.get("user");

const optionsWith = (onWritten: () => void): RunRoutesOptions => ({
  start: (request) => ({
    input: userOf(request),
    produce: async (run) => {
      await run.text(`secret of ${run.input}`);
      onWritten();
      await aborted(run.signal);
    },
  }),
  authorize: (request, run) => run.input === userOf(request),
});

/** Alice's start of `s`, granted and not in the log yet; and what is asked of the same server or another one. */
async function starting(joinWait: number) {
  cluster = new Cluster();
  const held = hubHeldAt("run:s", createHub({ log: cluster.log }));
  const [node, other] = [cluster.node({ hub: held.hub, joinWait }), cluster.node({ joinWait })];
  let onWritten: () => void = () => undefined;
  const written = new Promise<void>((resolve) => {
    onWritten = resolve;
  });
  const options = optionsWith(onWritten);
  const asker =
    ({ runs }: typeof node) =>
    (method: string, user: string, headers: Record<string, string> = {}) =>
      runs.routes(options)(new Request("http://x/runs/s", { method, headers: { user, ...headers } }));
  const [ask, askOther] = [asker(node), asker(other)];
  const started = ask("POST", "alice");
  await held.arrived;
  return { held, node, started, written, asks: [ask, askOther] };
}

const EVENTS = { accept: "text/event-stream" };

describe("while a start is on its way to the log", () => {
  it("somebody else's start of the same id is refused once it is there", async () => {
    const { held, node, started, written, asks } = await starting(5000);
    const answers = asks.flatMap((ask) => [ask("POST", "bob", EVENTS), ask("POST", "bob")]);
    const own = asks.map((ask) => ask("POST", "alice"));
    const ownStreams = asks.map((ask) => ask("POST", "alice", EVENTS));
    await new Promise((resolve) => setTimeout(resolve, 50));
    held.open();
    expect((await started).status).toBe(201);
    for (const answer of answers) expect((await answer).status).toBe(403);
    for (const answer of own) expect((await answer).status).toBe(200);
    await written;
    await node.runs.stop("s");
    for (const answer of ownStreams) {
      const events = await collectEvents(await answer);
      expect(events.find(({ event }) => event === "token")?.data).toContain("secret of alice");
    }
  });

  it("somebody else's stop is refused once it is there", async () => {
    const { held, node, started, asks } = await starting(5000);
    const answers = asks.map((ask) => ask("DELETE", "bob"));
    await new Promise((resolve) => setTimeout(resolve, 50));
    held.open();
    expect((await started).status).toBe(201);
    for (const answer of answers) expect((await answer).status).toBe(403);
    expect(await node.runs.get("s")).toMatchObject({ state: "running" });
    expect((await asks[1]?.("DELETE", "alice"))?.status).toBe(204);
    expect(await node.runs.ended("s")).toMatchObject({ state: "stopped" });
  });

  it("whoever asks is told to come back where that takes long", async () => {
    const { held, started, asks } = await starting(20);
    for (const ask of asks) {
      for (const answer of [ask("POST", "bob"), ask("POST", "bob", EVENTS), ask("DELETE", "bob")]) {
        const { status, headers } = await answer;
        expect([status, headers.get("retry-after")]).toEqual([503, "2"]);
      }
    }
    held.open();
    expect(await (await started).json()).toMatchObject({ state: "running" });
  });
});

describe("a run that nobody has asked for yet", () => {
  const options = optionsWith(() => undefined);
  const stop = (user: string) => new Request("http://x/runs/s", { method: "DELETE", headers: { user } });
  const state = async (runs: Runs): Promise<string> =>
    (await runs.start({ id: "s", produce: (run) => aborted(run.signal) })).state;

  it("can be stopped by whoever knows its id, unless the developer says who may", async () => {
    cluster = new Cluster();
    const { runs } = cluster.node();
    expect((await runs.routes(options)(stop("bob"))).status).toBe(204);
    expect(await state(runs)).toBe("stopped");
  });

  it("is not stopped by who may not, and its id is not spoilt", async () => {
    cluster = new Cluster();
    const { runs } = cluster.node();
    const asked: string[] = [];
    const routes = runs.routes({
      ...options,
      authorizeEarlyStop: (request, id) => {
        asked.push(`${userOf(request)} ${id}`);
        return userOf(request) === "carol"
          ? new Response("no", { status: 401 })
          : userOf(request) === "alice";
      },
    });
    expect((await routes(stop("bob"))).status).toBe(403);
    expect((await routes(stop("carol"))).status).toBe(401);
    expect(await state(runs)).toBe("running");
    expect((await routes(stop("bob"))).status).toBe(403);
    expect(asked).toEqual(["bob s", "carol s"]);
    await runs.stop("s");
  });

  it("is stopped as it begins by who may", async () => {
    cluster = new Cluster();
    const { runs } = cluster.node();
    const routes = runs.routes({ ...options, authorizeEarlyStop: (request) => userOf(request) === "alice" });
    expect((await routes(stop("alice"))).status).toBe(204);
    expect(await state(runs)).toBe("stopped");
  });
});

describe("a check in a route of one's own", () => {
  it("lets nobody in that it has not said yes to", async () => {
    cluster = new Cluster();
    const { runs } = cluster.node();
    await runs.start({ id: "s", produce: () => undefined });
    const request = new Request("http://x/");
    const silent = (() => undefined) as unknown as () => boolean;
    expect((await runs.respond(request, "s", { authorize: silent })).status).toBe(403);
    expect((await runs.respond(request, "s", { authorize: () => false })).status).toBe(403);
    expect((await runs.respond(request, "s", { authorize: async () => true })).status).toBe(200);
  });
});
