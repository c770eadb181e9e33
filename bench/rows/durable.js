import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { aimsTable, atLeast } from "../lib/aims.js";
import { durableTable, HUB_PUBLISH, shareOfLmdb } from "../lib/durable.js";
import { LineProcess } from "../lib/lines.js";
import { percent } from "../lib/table.js";

/**
 * Publishing to disk, 64 in flight, beside lmdb itself with records as large: both wait for the sync that covers what they
 * published. lmdb writes and syncs on threads of its own, so the process has all cores, as in a server's life.
 */

const SCRIPT = fileURLToPath(new URL("../lmdb.js", import.meta.url));

/** @param {import("../run.js").Bench} bench */
export async function benchDurable({ quick, rounds, progress }) {
  progress("durable publishing");
  const args = ["--json", "--rounds", String(rounds), "--events", quick ? "500" : "20000"];
  const child = new LineProcess("durable publishing", process.execPath, [SCRIPT, ...args]);
  try {
    const results = /** @type {import("../lib/durable.js").Durable[]} */ ((await child.reply()).all);
    const aims = results.map((measured) =>
      atLeast(
        `${HUB_PUBLISH} beside lmdb, ${measured.topics === 1 ? "one topic" : `${measured.topics} topics`}`,
        shareOfLmdb(measured, HUB_PUBLISH),
        0.6,
        percent,
      ),
    );
    const where = `In ${tmpdir()}; TMPDIR=/on/the/disk has another one measured.`;
    return { results, aims, tables: [...results.map(durableTable), { ...aimsTable(aims), notes: [where] }] };
  } finally {
    await child.close();
  }
}
