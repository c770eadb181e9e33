import type { Server } from "node:http";
import { serve } from "@hono/node-server";
import {
  createHub,
  createRuns,
  type EventLog,
  EverstreamError,
  type Hub,
  memoryLog,
  type ReadQuery,
  type Run,
  type RunRoutesOptions,
  type Runs,
} from "everstream";
import { runRoutes as honoRoutes, streamRun as honoStream } from "everstream/hono";
import { runRoutes as nodeRoutes, streamRun as nodeStream } from "everstream/node";
import { collectEvents, serveForTest, type TestServer } from "everstream/testing";
import express from "express";
import { Hono } from "hono";
import { afterEach, describe, expect, it, vi } from "vitest";
import { aborted } from "./nodes.ts";

let hub: Hub;
let runs: Runs;
let server: TestServer;
let produced: number;

const EVENTS = { Accept: "text/event-stream" };

const options: RunRoutesOptions = {
  start: async (request) => {
    if (request.headers.get("x-user") === "banned") return new Response("no", { status: 418 });
    const { text, key, waits } = (await request.json()) as { text: string; key?: string; waits?: boolean };
    return {
      key,
      input: { owner: request.headers.get("x-user") },
      produce: async (run: Run) => {
        produced++;
        await run.text(text);
        if (waits) await aborted(run.signal);
      },
    };
  },
  authorize: (request, run) => (run.input as { owner: string }).owner === request.headers.get("x-user"),
};

/** Each way to mount them: its name, and what serves them. */
const ways: [string, () => Promise<TestServer>][] = [
  ["Fetch", () => serveForTest({ fetch: runs.routes(options) })],
  [
    "Hono",
    () => {
      const app = new Hono();
      app.all("/runs/*", honoRoutes(runs, options));
      app.get("/one/:id", (c) => honoStream(c, runs, c.req.param("id")));
      return serveForTest(app);
    },
  ],
  [
    "Hono under Node",
    async () => {
      const app = new Hono();
      app.all("/runs/*", honoRoutes(runs, options));
      const node = await new Promise<Server>((resolve) => {
        const made = serve({ fetch: app.fetch, port: 0 }, () => made.close(() => resolve(made as Server)));
      });
      return serveForTest(node);
    },
  ],
  ["Node", () => serveForTest((req, res) => void nodeRoutes(runs, options)(req, res))],
  [
    "Express",
    () => {
      const app = express();
      app.use(express.json());
      app.use("/runs", (req, res) => void nodeRoutes(runs, options)(req, res));
      return serveForTest(app);
    },
  ],
];

afterEach(async () => {
  await server.close();
  await runs.close();
  await hub.close();
});

async function begin(way: () => Promise<TestServer>): Promise<void> {
  produced = 0;
  hub = createHub();
  runs = createRuns({ hub, joinWait: 50 });
  server = await way();
}

function ask(method: string, path: string, headers: Record<string, string> = {}, body?: unknown) {
  return fetch(server.url + path, {
    method,
    headers: { "x-user": "ann", "content-type": "application/json", ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
}

describe.each(ways)("routes of runs on %s", (_, way) => {
  it("start with a stream, join, resume and end with 204", async () => {
    await begin(way);
    const key = { "Idempotency-Key": '"a"' };
    const started = await ask("POST", "/runs", { ...EVENTS, ...key }, { text: "hello" });
    expect(started.status).toBe(200);
    expect(started.headers.get("content-type")).toContain("text/event-stream");
    const events = await collectEvents(started);
    expect(events.map(({ event }) => event).filter((type) => type !== "sse:live")).toEqual([
      "run",
      "token",
      "done",
      "sse:end",
    ]);
    // A request that is sent again joins.
    const again = await collectEvents(await ask("POST", "/runs", { ...EVENTS, ...key }, { text: "hello" }));
    expect(again.map(({ data }) => data)).toEqual(events.map(({ data }) => data));
    expect(produced).toBe(1);
    const token = events.find(({ event }) => event === "token");
    const rest = await collectEvents(
      await ask("GET", "/runs/a", { ...EVENTS, "Last-Event-ID": token?.lastEventId ?? "" }),
    );
    expect(rest.map(({ event }) => event).filter((type) => type !== "sse:live")).toEqual(["done", "sse:end"]);
    const last = events.at(-1)?.lastEventId ?? "";
    expect((await ask("GET", "/runs/a", { ...EVENTS, "Last-Event-ID": last })).status).toBe(204);
  });

  it("start with JSON, tell the state, stop", async () => {
    await begin(way);
    const started = await ask("POST", "/runs/a", {}, { text: "x", waits: true });
    expect(started.status).toBe(201);
    expect(started.headers.get("location")).toBe("/runs/a");
    expect(await started.json()).toMatchObject({ id: "a", state: "running" });
    const state = await (await ask("GET", "/runs/a/state")).json();
    expect(state).toMatchObject({ id: "a", state: "running", startedAt: expect.any(Number) });
    expect(state).not.toHaveProperty("input");
    expect((await ask("DELETE", "/runs/a")).status).toBe(204);
    expect((await ask("DELETE", "/runs/a")).status).toBe(204);
    expect(await runs.ended("a")).toMatchObject({ state: "stopped" });
    expect(await (await ask("GET", "/runs/a/state")).json()).toMatchObject({ state: "stopped" });
  });

  it("stop a run before its start has come", async () => {
    await begin(way);
    expect((await ask("DELETE", "/runs/a")).status).toBe(204);
    const started = await ask("POST", "/runs/a", {}, { text: "x", waits: true });
    expect(await started.json()).toMatchObject({ id: "a", state: "stopped" });
    expect(produced).toBe(0);
  });

  it("refuse those who may not, what is busy, and what is not there", async () => {
    await begin(way);
    await ask("POST", "/runs/a", {}, { text: "x", key: "k", waits: true });
    for (const [method, path] of [
      ["GET", "/runs/a"],
      ["GET", "/runs/a/state"],
      ["DELETE", "/runs/a"],
      ["POST", "/runs/a"],
    ] as const) {
      const body = method === "POST" ? { text: "y" } : undefined;
      expect([method, path, (await ask(method, path, { "x-user": "bob" }, body)).status]).toEqual([
        method,
        path,
        403,
      ]);
    }
    expect((await ask("POST", "/runs/b", {}, { text: "x", key: "k" })).status).toBe(409);
    expect((await ask("POST", "/runs/c", { "x-user": "banned" }, {})).status).toBe(418);
    expect((await ask("GET", "/runs/b", EVENTS)).status).toBe(404);
    expect((await ask("GET", "/runs/b", { ...EVENTS, "Last-Event-ID": "k3v9-2f" })).status).toBe(410);
    expect((await ask("GET", "/runs/a/other")).status).toBe(404);
    expect((await ask("PUT", "/runs/a", {}, {})).status).toBe(405);
    expect((await ask("POST", "/runs", { "Idempotency-Key": "a b" }, { text: "x" })).status).toBe(400);
    for (const id of ["a%20b", "%E2%82%AC", "%E0%A4%A", "x".repeat(129)]) {
      for (const path of [`/runs/${id}`, `/runs/${id}/state`]) {
        const answer = await ask("GET", path);
        expect([path, answer.status, await answer.json()]).toEqual([
          path,
          400,
          { error: expect.stringContaining("printable"), code: "INVALID_OPTION" },
        ]);
      }
    }
    await runs.stop("a");
  });
});

describe("streamRun", () => {
  it.each([
    ["Hono", () => ways[1]?.[1]() as Promise<TestServer>],
    ["Node", () => serveForTest((req, res) => void nodeStream(req, res, runs, req.url?.split("/")[2] ?? ""))],
  ])("answers with a run's stream on %s", async (_, way) => {
    await begin(way);
    await runs.start({ id: "a", produce: (run) => run.text("hello") });
    const events = await collectEvents(await ask("GET", "/one/a", EVENTS));
    expect(events.find(({ event }) => event === "token")?.data).toBe('{"content":"hello"}');
    expect((await ask("GET", "/one/b", EVENTS)).status).toBe(404);
  });
});

describe("what is the server's alone", () => {
  it("is told to nobody: where its log is, or by which key a run has its place", async () => {
    const reported = vi.spyOn(console, "error").mockImplementation(() => undefined);
    let isAway = false;
    const kept = memoryLog();
    const log: EventLog = {
      open: async (feed) => {
        const connection = await kept.open(feed);
        const read = connection.read.bind(connection);
        const away = new EverstreamError("LOG_FAILED", "Could not read: connect ECONNREFUSED 10.1.2.3:6379.");
        return Object.assign(connection, {
          read: (query: ReadQuery) => (isAway ? Promise.reject(away) : read(query)),
        });
      },
    };
    await begin(() => {
      hub = createHub({ log });
      runs = createRuns({ hub });
      return serveForTest({ fetch: runs.routes({ ...options, authorize: () => true }) });
    });
    await ask("POST", "/runs/a", {}, { text: "x", key: "customer 42", waits: true });
    const busy = await ask("POST", "/runs/b", {}, { text: "x", key: "customer 42" });
    expect([busy.status, await busy.json()]).toEqual([
      409,
      { error: expect.not.stringContaining("customer"), code: "RUN_BUSY" },
    ]);
    isAway = true;
    for (const [method, path] of [
      ["POST", "/runs/c"],
      ["GET", "/runs/a/state"],
      ["GET", "/runs/a"],
      ["DELETE", "/runs/a"],
    ] as const) {
      const answer = await ask(method, path, {}, method === "POST" ? { text: "x" } : undefined);
      expect([method, path, answer.status]).toEqual([method, path, 503]);
      expect(await answer.text()).not.toContain("10.1.2.3");
    }
    expect(reported).toHaveBeenCalledWith(expect.stringContaining("10.1.2.3"));
    isAway = false;
    vi.restoreAllMocks();
  });
});

describe("a producer that fails before its stream is opened", () => {
  it("is masked on the wire", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    await begin(() =>
      serveForTest({
        fetch: runs.routes({
          start: () => {
            throw new Error("secret");
          },
          authorize: () => true,
        }),
      }),
    );
    const response = await ask("POST", "/runs", {}, {});
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain("secret");
    vi.restoreAllMocks();
  });
});
