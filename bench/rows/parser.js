import { LineProcess } from "../lib/lines.js";
import { pinned } from "../lib/machine.js";
import { times } from "../lib/table.js";

/** Events parsed a second, from bytes, in a process of its own on the server's core. */

const PARSER = new URL("../parser.js", import.meta.url).href;

/** @typedef {{ stream: string, chunk: string, everstream: number, other: number, ratio: number }} Row */

/** @param {import("../run.js").Bench} bench */
export async function benchParsers(bench) {
  bench.progress("parser");
  const script = `const { benchParser } = await import(${JSON.stringify(PARSER)});
    console.log(JSON.stringify({ rows: benchParser() }));`;
  const child = new LineProcess(
    "the parser's bench",
    ...pinned("server", process.execPath, ["--input-type=module", "--eval", script]),
  );
  try {
    const results = /** @type {Row[]} */ ((await child.reply()).rows);
    return { results, aims: [], tables: [table(results)] };
  } finally {
    await child.close();
  }
}

/** @param {Row[]} results */
function table(results) {
  return {
    title:
      "Parser: events a second from bytes, beside eventsource-parser with a TextDecoder (best of its rounds)",
    header: ["", "chunks", "everstream", "eventsource-parser", "everstream's is"],
    rows: results.map(({ stream, chunk, everstream, other, ratio }) => [
      stream,
      chunk,
      millions(everstream),
      millions(other),
      times(ratio),
    ]),
  };
}

/** @param {number} count */
const millions = (count) => `${(count / 1e6).toFixed(2)} M/s`;
