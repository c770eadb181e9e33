// The example that docs/nats.md opens with, run as it stands.
import { readFile, writeFile } from "node:fs/promises";
import { natsLog } from "everstream/nats";
import { expect, it } from "vitest";
import { runChild } from "../../scripts/lib/child.js";
import { openNode } from "../logs/contract.ts";
import { bundleExample } from "../setup/doc-example.ts";
import { natsForTests } from "./fixture.ts";

const nats = natsForTests();

it("opens with an example that runs, ends by itself, and publishes once however often it runs", async () => {
  const servers = `127.0.0.1:${nats.server.port}`;
  const script = await bundleExample("docs/nats.md", { last: "console.log(id);\nawait hub.close();" });
  await writeFile(script, (await readFile(script, "utf8")).replaceAll("127.0.0.1:4222", servers));
  const runs = [];
  for (let run = 0; run < 2; run++) runs.push(await runChild(process.execPath, [script]));
  expect(
    runs.map(({ code }) => code),
    runs[0]?.output,
  ).toEqual([0, 0]);
  expect(runs[0]?.output).toBe(runs[1]?.output);
  const node = await openNode(natsLog({ servers, name: "shop" }));
  expect((await node.read(["orders"])).entries).toHaveLength(1);
  await node.connection.close();
});
