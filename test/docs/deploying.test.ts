// What docs/deploying.md says of its examples, seen in them.
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Hub } from "everstream";
import { rawRequest } from "everstream/testing";
import { expect, it, onTestFinished } from "vitest";
import { bundleExample, runExample } from "../setup/doc-example.ts";

const page = "docs/deploying.md";

it("opens with a server that says how it is, counts, and at SIGTERM sends its clients away", async () => {
  const last = 'server.once("listening", () => console.log(server.address().port));';
  const script = await bundleExample(page, { last });
  const child = spawn(process.execPath, [script], {
    env: { ...process.env, PORT: "0" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  const [port] = await once(child.stdout, "data");
  const url = `http://127.0.0.1:${Number(port)}`;
  const left = await rawRequest(url);
  left.destroy();
  const client = await rawRequest(url);
  await client.until("sse:live");

  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  const metrics = async () => (await fetch(`${url}/metrics`)).text();
  await expect.poll(metrics).toMatch(/^everstream_closed_total\{reason="disconnected"\} 1$/m);
  const text = await metrics();
  expect(text).toMatch(/^# TYPE everstream_sessions gauge\neverstream_sessions 1$/m);
  expect(text).toMatch(/^# TYPE everstream_published_total counter\neverstream_published_total 0$/m);
  // Prometheus takes lines of these two kinds alone, the last one ended as well.
  expect(text).toMatch(/^((# TYPE \w+ (gauge|counter)|\w+(\{reason="[\w-]+"\})? \d+)\n)+$/);

  const ended = once(child, "exit");
  child.kill("SIGTERM");
  expect(await client.ended).toBe("complete");
  expect(await ended).toEqual([0, null]);
});

it("lets a page of another origin in, its question beforehand and its return too", async () => {
  const { values } = await runExample(page, { below: "CORS", wanted: ["hub"] });
  const handle = values.handle as (request: Request) => Promise<Response>;
  const asked = await handle(new Request("http://localhost/", { method: "OPTIONS" }));
  expect(asked.status).toBe(204);
  expect(asked.headers.get("Access-Control-Allow-Headers")).toMatch(/\bLast-Event-ID\b/);
  const stream = await handle(new Request("http://localhost/", { headers: { "Last-Event-ID": "0-0" } }));
  expect(Object.fromEntries(stream.headers)).toMatchObject({
    "access-control-allow-credentials": "true",
    "access-control-allow-origin": "https://app.example.com",
    "content-type": "text/event-stream",
  });
  await stream.body?.cancel();

  await (values.hub as Hub).close();
  const refused = await handle(new Request("http://localhost/"));
  expect([refused.status, refused.headers.get("Access-Control-Allow-Origin")]).toEqual([
    503,
    "https://app.example.com",
  ]);
});
