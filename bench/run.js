// npm run bench: measures this build of everstream beside its peers and prints one table. --help tells the options.
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { findGenerator } from "./lib/generator.js";
import { describeMachine } from "./lib/machine.js";
import { writeMarkdown } from "./lib/markdown.js";
import { asText } from "./lib/table.js";
import { readOptions, USAGE } from "./options.js";
import { PEERS, peerNotes, peersNamed } from "./peers.js";
import { benchCrowd } from "./rows/crowd.js";
import { benchDelay } from "./rows/delay.js";
import { benchDurable } from "./rows/durable.js";
import { benchFanout } from "./rows/fanout.js";
import { benchIdle } from "./rows/idle.js";
import { benchPace } from "./rows/pace.js";
import { benchParsers } from "./rows/parser.js";
import { benchReplay } from "./rows/replay.js";
import { benchStalled } from "./rows/stalled.js";
import { benchTokens } from "./rows/tokens.js";
import { benchTopics } from "./rows/topics.js";

/**
 * @typedef {object} Bench what every row is given
 * @property {import("./lib/generator.js").Generator} generator
 * @property {import("./peers.js").Peer[]} peers
 * @property {string[]} peerNotes which peers are not here, and the like
 * @property {number} rounds
 * @property {number | undefined} connections
 * @property {boolean} quick
 * @property {(what: string) => void} progress
 */

/** @typedef {{ results: unknown, aims: import("./lib/aims.js").Aim[], tables: import("./lib/table.js").Table[] }} Measured */

/** @type {Record<import("./options.js").Row, (bench: Bench) => Promise<Measured>>} */
const rows = {
  fanout: benchFanout,
  crowd: benchCrowd,
  topics: benchTopics,
  delay: benchDelay,
  pace: benchPace,
  stalled: benchStalled,
  replay: benchReplay,
  durable: benchDurable,
  tokens: benchTokens,
  idle: benchIdle,
  parser: benchParsers,
};

/** These measure whoever is asked for; all others measure everstream. */
const OF_PEERS = ["fanout", "tokens", "idle"];

/** Builds what is measured where that is older than its sources. */
function buildPackage() {
  const script = fileURLToPath(new URL("../scripts/build.js", import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, "package", "--missing"], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`everstream could not be built\n${stdout}${stderr}`);
}

/** @param {ReturnType<typeof describeMachine>} machine @param {Bench} bench */
function head(machine, { generator, rounds, quick }) {
  const packages = Object.entries(machine.packages).map(([name, version]) => `${name} ${version}`);
  const cores = machine.pinned
    ? "server on core 0, load generator on core 1"
    : "no cores to pin to: server and load generator get in each other's way";
  return [
    `everstream ${machine.everstream} beside ${packages.join(", ")}`,
    `${machine.cpu}, ${machine.memoryGiB} GiB · ${machine.system} · Node ${machine.node}`,
    `${cores} · ${generator.note} · ${rounds === 1 ? "one round" : `medians of ${rounds} interleaved rounds`}`,
    ...(quick ? ["--quick: too short to mean anything"] : []),
    `node bench/run.js ${process.argv.slice(2).join(" ")}`.trimEnd(),
  ].join("\n");
}

async function main() {
  const options = readOptions(
    process.argv.slice(2),
    PEERS.map((peer) => peer.name),
  );
  if (options.help) return console.log(USAGE);
  const peers = peersNamed(options.peers);
  if (peers.some((peer) => peer.ours) || options.rows.some((row) => !OF_PEERS.includes(row))) buildPackage();
  const bench = {
    ...options,
    peers,
    peerNotes: peerNotes(options.peers),
    generator: findGenerator(options.generator),
    progress,
  };
  const machine = describeMachine();
  const heading = head(machine, bench);
  console.log(heading);
  /** @type {Record<string, unknown>} */
  const all = { machine, generator: bench.generator.kind, rounds: bench.rounds, quick: bench.quick };
  /** @type {Map<string, import("./lib/table.js").Table[]>} */
  const tables = new Map();
  for (const row of options.rows) {
    const measured = await rows[row](bench);
    progress("");
    console.log(`\n${measured.tables.map(asText).join("\n\n")}`);
    all[row] = measured.results;
    all[`${row}Aims`] = measured.aims;
    tables.set(row, measured.tables);
  }
  if (options.json) writeFileSync(options.json, `${JSON.stringify(all, null, 2)}\n`);
  if (options.markdown) writeMarkdown(options.markdown, heading, tables);
}

/** What is being measured, on one line of a terminal. @param {string} what */
function progress(what) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${what}`);
}

try {
  await main();
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
