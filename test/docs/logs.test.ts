// The example that docs/logs.md opens with, run as it stands.
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createHub } from "everstream";
import { lmdbLog } from "everstream/lmdb";
import { expect, it, onTestFinished } from "vitest";
import { runChild } from "../../scripts/lib/child.js";
import { bundleExample } from "../setup/doc-example.ts";

it("opens with an example that runs, ends by itself, and publishes once however often it runs", async () => {
  const script = await bundleExample("docs/logs.md", { last: "console.log(id);" });
  const folder = await mkdtemp(join(tmpdir(), "everstream-example-"));
  onTestFinished(() => rm(folder, { recursive: true }));

  const runs = [];
  for (let run = 0; run < 2; run++) runs.push(await runChild(process.execPath, [script], { cwd: folder }));
  expect(runs).toMatchObject([{ code: 0 }, { code: 0 }]);
  expect(await readdir(folder)).toEqual(["data"]);
  const hub = createHub({ log: lmdbLog({ path: join(folder, "data/events") }) });
  const { events } = await hub.read("orders");
  await hub.close();
  expect(events).toMatchObject([{ type: "paid", data: { order: 17 } }]);
  expect(runs.map(({ output }) => output.trim())).toEqual([events[0]?.id, events[0]?.id]);
});
