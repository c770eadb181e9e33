// What `npm run start:cluster` says where it can't begin.
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { runChild } from "../../scripts/lib/child.js";

const SCRIPT = fileURLToPath(new URL("../../scripts/start-cluster.js", import.meta.url));

test.each([
  [
    "no redis-server",
    { LOG: "", REDIS_SERVER_PATH: "/nonexistent" },
    /not installed.*apt-get install redis-server.*LOG=redis/,
  ],
  ["a log of one process", { LOG: "lmdb:data" }, /can't be shared by three nodes/],
  ["a port that is none", { PORT: "many" }, /PORT must be a number from 0 to 65535, not "many"/],
])("with %s it ends and says what to do", async (_, env, words) => {
  const { code, output } = await runChild(process.execPath, [SCRIPT], { env });
  expect(code).toBe(1);
  expect(output).toMatch(words);
});
