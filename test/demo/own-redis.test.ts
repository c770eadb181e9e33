// The redis-server that `npm run start:cluster` starts in its data folder: never two in one.
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createClient } from "@redis/client";
import { beforeEach, expect, it, onTestFinished, vi } from "vitest";
import { findProgram, needs } from "../../scripts/lib/needs.js";
import { startRedis } from "../../scripts/lib/own-redis.js";
import { dataFolder } from "../brokers/folder.ts";

const need = needs.find(({ name }) => name === "redis-server");
const program = (need && findProgram(need)) ?? "redis-server";
const said = vi.fn<(text: string) => void>();

let folder = "";
beforeEach(async () => {
  said.mockClear();
  const { path, remove } = await dataFolder("own-redis");
  folder = join(path, "redis");
  onTestFinished(remove);
});

/** Starts one in the folder of the test, and ends it with the test. */
async function start(waitMs = 20_000) {
  const started = await startRedis({ program, folder, waitMs, say: said });
  onTestFinished(async () => {
    await started.server.stop("SIGKILL");
  });
  return started;
}

async function command(port: number, ...args: string[]): Promise<unknown> {
  const client = await createClient({ url: `redis://127.0.0.1:${port}` }).connect();
  try {
    return await client.sendCommand(args);
  } finally {
    client.destroy();
  }
}

it("has what an earlier one has stored, on the same port", async () => {
  const first = await start();
  await command(first.port, "SET", "a", "1");
  await first.server.stop("SIGKILL");
  const second = await start();
  expect(second.port).toBe(first.port);
  expect(await command(second.port, "GET", "a")).toBe("1");
});

it("is not started where another one has the folder, which goes on", async () => {
  const first = await start();
  await expect(start(300)).rejects.toThrow(
    new RegExp(`process ${first.server.pid}, has .* open.* set DATA_DIR to another folder`),
  );
  expect(await command(first.port, "SET", "a", "1")).toBe("OK");
});

it("of many that are started at once, one gets the folder", async () => {
  const started = await Promise.allSettled(Array.from({ length: 4 }, () => start(300)));
  expect(started.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
});

it("waits for the end of an earlier one, and says so", async () => {
  const first = await start();
  await command(first.port, "SET", "a", "1");
  const starting = start();
  await vi.waitUntil(() => said.mock.calls.length > 0, { timeout: 20_000 });
  await first.server.stop();
  expect(await command((await starting).port, "GET", "a")).toBe("1");
  expect(said.mock.calls).toEqual([[expect.stringContaining(`process ${first.server.pid}`)]]);
});

it("is not started beside one that stands still", async () => {
  const first = await start();
  process.kill(first.server.pid, "SIGSTOP");
  await expect(start()).rejects.toThrow(/stands still/);
});

it("gets another port where another program has taken the one that it had, unless that will not do", async () => {
  const first = await start();
  await command(first.port, "SET", "a", "1");
  await first.server.stop();
  const other = createServer((_, response) => response.end()).listen(first.port, "127.0.0.1");
  await vi.waitUntil(() => other.listening, { timeout: 20_000 });
  onTestFinished(() => {
    other.closeAllConnections();
    other.close();
  });
  await expect(startRedis({ program, folder, samePort: true })).rejects.toThrow(/has taken the port/);
  const second = await start();
  expect(second.port).not.toBe((other.address() as AddressInfo).port);
  expect(await readFile(join(folder, "port"), "utf8")).toBe(String(second.port));
  expect(await command(second.port, "GET", "a")).toBe("1");
});

it("begins anew where the file with its port holds none", async () => {
  const first = await start();
  await first.server.stop();
  await writeFile(join(folder, "port"), "none");
  const { port } = await start();
  expect(await readFile(join(folder, "port"), "utf8")).toBe(String(port));
});
