// The built reference application at SIGTERM, while clients go on asking over connections that they keep.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { Agent, request as openRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { rawRequest } from "everstream/testing";
import { beforeAll, expect, it, onTestFinished } from "vitest";
import { build } from "../../scripts/lib/build-steps.js";

const MAIN = fileURLToPath(new URL("../../demo/dist/server/main.js", import.meta.url));
const CLIENTS = 8;

beforeAll(async () => {
  expect(await build({ missingOnly: true })).toBe(true);
}, 120_000);

/** The application, with all that it prints. */
async function startApp() {
  const folder = await mkdtemp(join(tmpdir(), "everstream-shutdown-"));
  const env = { ...process.env, PORT: "0", DATA_DIR: folder, LOG: "memory:", OPENAI_API_KEY: "" };
  const child = spawn(process.execPath, [MAIN], { env, stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>;
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await ended;
    await rm(folder, { recursive: true });
  });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  const [line] = (await once(child.stdout.setEncoding("utf8"), "data")) as [string];
  return { child, ended, port: Number(/:(\d+)$/m.exec(line)?.[1]), errors: () => errors };
}

/** Publishes without a pause over one connection, until that is closed. Resolves to all statuses. */
async function goOnAsking(port: number, cookie: string, begun: () => void): Promise<number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const statuses: number[] = [];
  const headers = { cookie };
  const body = JSON.stringify({ type: "alert", payload: 1 });
  for (;;) {
    const status = await new Promise<number | undefined>((resolve) => {
      const asking = openRequest(
        { port, host: "127.0.0.1", path: "/api/notifications", method: "POST", agent, headers },
        (answer) => answer.resume().once("end", () => resolve(answer.statusCode)),
      );
      asking.once("error", () => resolve(undefined));
      asking.end(body);
    });
    if (status === undefined) return statuses;
    statuses.push(status);
    if (statuses.length === 20) begun();
  }
}

it("ends by itself, has each of them asked for no more than one answer, and prints nothing", async () => {
  const app = await startApp();
  const signedIn = await fetch(`http://127.0.0.1:${app.port}/api/session`, {
    method: "POST",
    body: JSON.stringify({ user: "ada" }),
  });
  const cookie = signedIn.headers
    .getSetCookie()
    .map((one) => one.split(";")[0])
    .join("; ");
  const stream = await rawRequest(app.port, "/api/notifications", {
    headers: { Accept: "text/event-stream", cookie },
  });
  await stream.until("sse:live");
  let waiting = CLIENTS;
  const clients: Promise<number[]>[] = [];
  await new Promise<void>((resolve) => {
    const begun = (): void => {
      waiting--;
      if (waiting === 0) resolve();
    };
    for (let n = 0; n < CLIENTS; n++) clients.push(goOnAsking(app.port, cookie, begun));
  });
  app.child.kill("SIGTERM");
  expect(await app.ended).toEqual([0, null]);
  expect(await stream.ended).toBe("complete");
  for (const statuses of await Promise.all(clients)) {
    const others = statuses.filter((status) => status !== 201);
    // The answer with which the connection ends, if there was one.
    expect([[], [503]]).toContainEqual(others);
  }
  expect(app.errors()).toBe("");
});
