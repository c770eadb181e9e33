// What `npm run start:cluster` starts, when the one or the other of its processes is killed.
import { connect } from "node:net";
import { type RawResponse, rawRequest } from "everstream/testing";
import { beforeAll, expect, it, onTestFinished } from "vitest";
import { build } from "../../scripts/lib/build-steps.js";
import { dataFolder } from "../brokers/folder.ts";
import { type BuiltCluster, startBuiltCluster } from "../browser/built-cluster.ts";

const PATIENCE_MS = 30_000;

beforeAll(async () => {
  expect(await build({ missingOnly: true })).toBe(true);
}, 120_000);

async function start(folder: string): Promise<BuiltCluster> {
  const cluster = await startBuiltCluster(folder);
  onTestFinished(async () => void (await cluster.stop()));
  return cluster;
}

async function folderOfTest(): Promise<string> {
  const { path, remove } = await dataFolder("start-cluster");
  onTestFinished(remove);
  return path;
}

const post = (cluster: BuiltCluster, path: string, body: unknown, cookie = ""): Promise<Response> =>
  fetch(`http://127.0.0.1:${cluster.port}/api/${path}`, {
    method: "POST",
    headers: { cookie },
    body: JSON.stringify(body),
  });

async function signIn(cluster: BuiltCluster): Promise<string> {
  const { headers } = await post(cluster, "session", { user: "ada" });
  return headers
    .getSetCookie()
    .map((one) => one.split(";")[0])
    .join("; ");
}

/** Sends a notification; resolves to its id, or nothing where that could not be done. */
async function notify(cluster: BuiltCluster, cookie: string, payload: string): Promise<string | undefined> {
  const answer = await post(cluster, "notifications", { type: "alert", payload }, cookie);
  return ((await answer.json()) as { id?: string }).id;
}

/** Opens the notifications' stream, after an event that the client has. */
function follow(cluster: BuiltCluster, cookie: string, lastEventId?: string): Promise<RawResponse> {
  const headers: Record<string, string> = { Accept: "text/event-stream", cookie };
  if (lastEventId !== undefined) headers["Last-Event-ID"] = lastEventId;
  return rawRequest(cluster.port, "/api/notifications", { headers });
}

/** Whether somebody listens there. */
function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

it("ends as a whole when what has started it is killed, and the next one has its data", async () => {
  const folder = await folderOfTest();
  const first = await start(folder);
  const cookie = await signIn(first);
  const seen = await notify(first, cookie, "one");
  await notify(first, cookie, "two");
  const ports = first.ports();
  expect(ports).toHaveLength(4);
  await first.killAll();
  // It waits for what is left of the first one.
  const second = await start(folder);
  const redis = second.ports().at(-1) as number;
  const left = ports.filter((port) => port !== redis);
  await expect.poll(() => Promise.all(left.map(isListening))).toEqual([false, false, false]);
  const stream = await follow(second, cookie, seen);
  await stream.until('"two"', PATIENCE_MS);
  expect(stream.body).not.toContain("sse:gap");
  stream.destroy();
}, 120_000);

it("starts its redis-server again, whose streams have stayed open and go on", async () => {
  const cluster = await start(await folderOfTest());
  const cookie = await signIn(cluster);
  const stream = await follow(cluster, cookie);
  await stream.until("sse:live", PATIENCE_MS);
  await notify(cluster, cookie, "before");
  await stream.until('"before"', PATIENCE_MS);
  cluster.kill("redis");
  await expect.poll(() => cluster.starts("redis")).toBe(2);
  await expect.poll(() => notify(cluster, cookie, "after")).toBeDefined();
  await stream.until('"after"', PATIENCE_MS);
  stream.destroy();
}, 120_000);
