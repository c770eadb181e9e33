// What the reference application's clients are told while it closes, and while its log is away.
import { Agent, type IncomingHttpHeaders, request as openRequest } from "node:http";
import { EverstreamError, type LogConnection, memoryLog } from "everstream";
import { rawRequest } from "everstream/testing";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import type { DemoLog } from "../../demo/server/log.ts";
import { gate } from "../runs/nodes.ts";
import { type DemoServer, problemOf, serveDemo } from "./serve-demo.ts";

const printed = vi.spyOn(console, "error").mockImplementation(() => undefined);
beforeEach(() => void printed.mockClear());

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Asks over the agent's connection. */
function ask(
  demo: DemoServer,
  path: string,
  { agent, ...options }: { agent: Agent; method?: string; headers?: Record<string, string> },
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asking = openRequest(`${demo.url}${path}`, { agent, ...options }, async (answer) => {
      let body = "";
      for await (const chunk of answer.setEncoding("utf8")) body += chunk;
      resolve({ status: answer.statusCode, headers: answer.headers, body });
    });
    asking.once("error", reject).end();
  });
}

type Append = LogConnection["append"];

/** A log in memory with another way of storing. */
function logWith(change: (append: Append) => Append): DemoLog {
  const open: DemoLog["log"]["open"] = async (feed) => {
    const near = await memoryLog().open(feed);
    return {
      epochs: near.epochs,
      head: near.head,
      append: change((request) => near.append(request)),
      read: (query) => near.read(query),
      follow: (topic) => near.follow(topic),
      unfollow: (topic) => near.unfollow(topic),
      expire: (now) => near.expire(now),
      close: () => near.close(),
    };
  };
  return { log: { open }, shared: false };
}

async function start(options: Parameters<typeof serveDemo>[0] = {}): Promise<DemoServer> {
  const demo = await serveDemo(options);
  onTestFinished(() => demo.close());
  return demo;
}

test("while it closes, it sends elsewhere whoever asks over a connection that was kept, and says nothing of it", async () => {
  const demo = await start();
  const agent = new Agent({ keepAlive: true });
  onTestFinished(() => agent.destroy());
  const cookie = await demo.signIn("ada");
  expect((await ask(demo, "/api/healthz", { agent })).headers.connection).toBe("keep-alive");
  await demo.leave();
  for (const [path, method] of [
    ["/healthz", "GET"],
    ["/api/runs", "GET"],
    ["/api/runs/run-12345678", "POST"],
    ["/api/notifications", "POST"],
    ["/api/nothing", "GET"],
  ] as const) {
    const { status, headers, body } = await ask(demo, path, { agent, method, headers: { cookie } });
    expect([path, status]).toEqual([path, 503]);
    expect(headers).toMatchObject({ "retry-after": "1", connection: "close" });
    expect(JSON.parse(body)).toEqual({ error: "this server is closing; try again" });
  }
  expect(printed).not.toHaveBeenCalled();
});

test.each(["/api/events", "/api/runs", "/api/runs/run-12345678", "/api/notifications"])(
  "while it closes, an EventSource at %s is told when to come back, and not by a status that it would give up at",
  async (path) => {
    const demo = await start();
    await demo.leave();
    const raw = await rawRequest(demo, path, { headers: { Accept: "text/event-stream" } });
    expect(raw.status).toBe(200);
    expect(raw.headers["content-type"]).toBe("text/event-stream");
    expect(raw.headers.connection).toBe("close");
    expect(await raw.ended).toBe("complete");
    expect(raw.body).toMatch(/^retry: ?[12]\d{3}$/m);
    expect(printed).not.toHaveBeenCalled();
  },
);

test("what was under way when it began to close is answered, and its connection ends with that", async () => {
  const [begun, held] = [gate(), gate()];
  const demo = await start({
    log: logWith((append) => async (request) => {
      if (request.topic.startsWith("user:")) {
        begun.open();
        await held.promise;
      }
      return append(request);
    }),
  });
  const cookie = await demo.signIn("ada");
  const sending = demo.post("/notifications", { type: "alert", payload: 1 }, { cookie });
  await begun.promise;
  const left = demo.leave();
  held.open();
  expect((await sending).headers.get("connection")).toBe("close");
  await left;
  expect(printed).not.toHaveBeenCalled();
});

test("while the log is away, each publish is a 503 that says so, and the console has one line", async () => {
  let away = false;
  const demo = await start({
    log: logWith((append) => (request) => {
      if (!away) return append(request);
      return Promise.reject(new EverstreamError("LOG_FAILED", "Redis could not be reached."));
    }),
  });
  const cookie = await demo.signIn("ada");
  away = true;
  for (let n = 0; n < 5; n++) {
    const answer = await demo.post("/notifications", { type: "alert", payload: n }, { cookie });
    expect(answer.headers.get("retry-after")).toBe("1");
    expect(await problemOf(answer)).toEqual({
      status: 503,
      error: "the log of events can't be reached; try again",
    });
  }
  expect(printed.mock.calls).toEqual([["POST /api/notifications failed: Redis could not be reached."]]);
});
