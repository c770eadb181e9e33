import { parseArgs } from "node:util";

/** What one run measures when nothing is said: it has to stay within some five minutes. */
const USUAL = /** @type {const} */ (["fanout", "crowd", "topics", "pace", "replay", "durable", "tokens"]);
const ROWS = /** @type {const} */ ([...USUAL, "delay", "stalled", "idle", "parser"]);
const ALL = "all";

export const USAGE = `npm run bench -- [options]
  --only fanout,replay   some of ${ROWS.join(", ")}; ${ALL} of them;
                      without it ${USUAL.join(", ")}
  --peers node:http,everstream/node   some of the peers
  --rounds 3          how often each is measured; the table shows medians
  --connections 1000  in place of each row's own number
  --generator C|Node  the load generator; C where a compiler is found
  --json FILE         all figures of all rounds
  --markdown FILE     the tables, in place of those between FILE's marks for these rows (docs/benchmarks.md)
  --quick             small and short: proves the harness, measures nothing`;

/** @typedef {typeof ROWS[number]} Row */

/**
 * @param {string[]} args
 * @param {readonly string[]} peerNames
 */
export function readOptions(args, peerNames) {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: "string" },
      peers: { type: "string" },
      rounds: { type: "string" },
      connections: { type: "string" },
      generator: { type: "string" },
      json: { type: "string" },
      markdown: { type: "string" },
      quick: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  return {
    rows: rowsOf(values.only),
    peers: listed("--peers", values.peers, peerNames),
    rounds: counted("--rounds", values.rounds) ?? (values.quick ? 1 : 3),
    connections: counted("--connections", values.connections),
    generator: /** @type {"C" | "Node" | undefined} */ (
      values.generator && listed("--generator", values.generator, ["C", "Node"])[0]
    ),
    json: values.json,
    markdown: values.markdown,
    quick: values.quick,
    help: values.help,
  };
}

/** @param {string | undefined} only @returns {readonly Row[]} */
function rowsOf(only) {
  if (only === undefined) return USUAL;
  return /** @type {Row[]} */ (listed("--only", only === ALL ? undefined : only, ROWS));
}

/** @param {string} flag @param {string | undefined} value @param {readonly string[]} known */
function listed(flag, value, known) {
  if (value === undefined) return [...known];
  const names = value.split(",");
  for (const name of names) {
    if (!known.includes(name)) throw new Error(`${flag}: "${name}" is none of ${known.join(", ")}`);
  }
  return names;
}

/** @param {string} flag @param {string | undefined} value */
function counted(flag, value) {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1)
    throw new Error(`${flag}: "${value}" is no whole number above 0`);
  return number;
}
