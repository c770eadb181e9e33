import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createHub } from "everstream";
import { lmdbLog } from "everstream/lmdb";
import { afterEach, beforeEach, expect, it, onTestFinished } from "vitest";

let path = "";
beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), "everstream-owner-"));
});
afterEach(() => rm(path, { recursive: true }));

const OWNER = fileURLToPath(new URL("owner.js", import.meta.url));

/** Another process that tries to open the log; `said` is how that went. */
async function otherProcess() {
  const child = spawn(process.execPath, [OWNER, path], { stdio: ["ignore", "pipe", "inherit"] });
  const gone = once(child, "close");
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await gone;
  });
  const [said] = (await once(child.stdout.setEncoding("utf8"), "data")) as [string];
  return { child, gone, said: said.trim() };
}

it("a folder that another process has open is refused, with that process' number", async () => {
  const owner = await otherProcess();
  expect(owner.said).toBe("open");
  const second = await otherProcess();
  expect(second.said).toMatch(/^LOG_LOCKED: /);
  expect(second.said).toContain(`process ${owner.child.pid}`);
  const hub = createHub({ log: lmdbLog({ path }) });
  await expect(hub.publish("t", { data: 1 })).rejects.toMatchObject({ code: "LOG_LOCKED" });
  await hub.close();
});

it("a killed owner leaves nothing that holds the next one up", async () => {
  for (let round = 0; round < 3; round++) {
    const owner = await otherProcess();
    expect(owner.said).toBe("open");
    owner.child.kill("SIGKILL");
    await owner.gone;
  }
  const hub = createHub({ log: lmdbLog({ path }) });
  await hub.publish("t", { data: 1 });
  await hub.close();
});

it("a process killed while it makes the folder leaves one that opens", async () => {
  for (let round = 0; round < 12; round++) {
    const folder = join(path, String(round));
    const child = spawn(process.execPath, [OWNER, folder], { stdio: "ignore" });
    const gone = once(child, "close");
    // From when the folder is there on, at any moment: what follows takes some milliseconds.
    while (!existsSync(folder)) await setImmediate();
    for (const end = performance.now() + (round % 6); performance.now() < end; ) await setImmediate();
    child.kill("SIGKILL");
    await gone;
    const hub = createHub({ log: lmdbLog({ path: folder }) });
    await hub.publish("t", { data: 1 });
    expect((await hub.read("t")).events).toHaveLength(1);
    await hub.close();
  }
});

it("of many processes that start at the same moment, one gets the folder", async () => {
  const said = (await Promise.all(Array.from({ length: 6 }, otherProcess))).map((other) => other.said);
  expect(said.filter((line) => line === "open")).toHaveLength(1);
  expect(said.filter((line) => line.startsWith("LOG_LOCKED"))).toHaveLength(5);
});
