// One node of a cluster, in a process of its own: a hub and runs on a broker's log, behind HTTP. Made to be killed.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { createHub, createRuns, isEverstreamError, type Produce } from "everstream";
import { runRoutes, streamTopics } from "everstream/node";
import { logAt } from "./log-at.ts";
import {
  HEARTBEAT_MS,
  LEASE_MS,
  type NodeStart,
  pieceOf,
  piecesIn,
  READY,
  type RunInput,
  TAKEN_OVER_MS,
} from "./scheme.ts";

const { url, name } = JSON.parse(process.argv[2] ?? "") as NodeStart;
const KEEP_ALL = { maxEvents: 1e6, maxBytes: 1e9 };

const hub = createHub({ log: logAt(url, name), retention: KEEP_ALL });

/** Writes numbered pieces, from the one that `written` says on. */
function producer({ pieces, everyMs }: RunInput, written = 0): Produce {
  return async (run) => {
    for (let n = written; n < pieces; n++) {
      await run.text(pieceOf(n));
      await sleep(written > 0 ? TAKEN_OVER_MS : everyMs, undefined, { signal: run.signal });
    }
  };
}

/** Runs that end with their process, and runs that are gone on with. */
const runs = createRuns({ hub, lease: LEASE_MS });
const kept = createRuns({
  hub,
  lease: LEASE_MS,
  namespace: "kept",
  onAbandoned: ({ input }, textSoFar) => producer(input as RunInput, piecesIn(textSoFar)),
});
const [runsAt, keptAt] = [runs, kept].map((each, index) =>
  runRoutes(each, {
    path: index === 0 ? "/runs" : "/kept",
    start: async (request) => {
      const input = (await request.json()) as RunInput;
      return { input, produce: producer(input) };
    },
    authorize: () => true,
    join: { retry: 20 },
  }),
);

async function publish(request: IncomingMessage, params: URLSearchParams): Promise<object> {
  let body = "";
  for await (const chunk of request.setEncoding("utf8")) body += chunk;
  const publishId = params.get("publishId") ?? undefined;
  const id = await hub.publish(params.get("topic") ?? "", { data: JSON.parse(body) }, { publishId });
  return { id };
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
  if (pathname === "/events") {
    const topics = searchParams.getAll("topic");
    const from = searchParams.has("start") ? "start" : "now";
    await streamTopics(request, response, hub, { topics, from, retry: 20, heartbeat: HEARTBEAT_MS });
    return;
  }
  if (pathname.startsWith("/runs/")) return void (await runsAt?.(request, response));
  if (pathname.startsWith("/kept/")) return void (await keptAt?.(request, response));
  const send = (status: number, value: object): void => {
    response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(value));
  };
  if (pathname === "/publish") send(201, await publish(request, searchParams));
  else if (pathname === "/stats") send(200, hub.stats());
  else if (pathname === "/drain") {
    await hub.close({ within: Number(searchParams.get("within")) });
    send(200, {});
  } else send(404, {});
}

const server = createServer((request, response) => {
  answer(request, response).catch((error: unknown) => {
    const code = isEverstreamError(error) ? error.code : "OTHER";
    if (response.headersSent) response.destroy();
    else
      response
        .writeHead(503, { "Content-Type": "application/json" })
        .end(JSON.stringify({ code, error: String(error) }));
  });
});

await Promise.all([hub.position(), runs.running(), kept.running()]);
server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
  process.stdout.write(`${READY} ${(server.address() as AddressInfo).port}\n`);
});
