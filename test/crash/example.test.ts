// The example that docs/logs.md opens with, run as it stands.
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createHub } from "everstream";
import { lmdbLog } from "everstream/lmdb";
import ts from "typescript";
import { expect, it, onTestFinished } from "vitest";
import { runChild } from "../../scripts/lib/child.js";
import { codeBlocks } from "../setup/markdown.ts";
import { readText, root } from "../setup/repository.ts";

it("docs/logs.md opens with an example that runs, ends by itself, and publishes once however often it runs", async () => {
  const [example] = codeBlocks(readText("docs/logs.md"));
  const options = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 };
  const { outputText } = ts.transpileModule(`${example?.code}\nconsole.log(id);`, {
    compilerOptions: options,
  });
  // Within the repository, so that it imports the package by its name.
  const script = join(root, "artifacts/test/logs-example.mjs");
  await mkdir(join(script, ".."), { recursive: true });
  await writeFile(script, outputText);
  const folder = await mkdtemp(join(tmpdir(), "everstream-example-"));
  onTestFinished(() => rm(folder, { recursive: true }));

  const runs = [];
  for (let run = 0; run < 2; run++) runs.push(await runChild(process.execPath, [script], { cwd: folder }));
  expect(runs.map(({ code }) => code)).toEqual([0, 0]);
  expect(await readdir(folder)).toEqual(["data"]);
  const hub = createHub({ log: lmdbLog({ path: join(folder, "data/events") }) });
  const { events } = await hub.read("orders");
  await hub.close();
  expect(events).toMatchObject([{ type: "paid", data: { order: 17 } }]);
  expect(runs.map(({ output }) => output.trim())).toEqual([events[0]?.id, events[0]?.id]);
});
