// npm run crash [-- --kills 50 --run-kills 20 --seed 1]: kills a server on an LMDB log at random moments and starts it
// again, then checks that everything it had accepted is there, in order, once, and that clients who lived through it have it
// all. Then the same with a server of runs while they are produced and read, which the next one abandons, or goes on with.
import { parseArgs } from "node:util";
import { crash } from "../test/crash/harness.js";
import { crashRuns } from "../test/crash/runs-harness.js";
import { build } from "./lib/build-steps.js";

const option = /** @type {const} */ ({ type: "string" });
const { values } = parseArgs({ options: { kills: option, "run-kills": option, seed: option } });
const kills = Number(values.kills ?? 50);
const runKills = Number(values["run-kills"] ?? 20);
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));

if (!(await build({ parts: ["package"], missingOnly: true }))) process.exit(1);
console.log(`crash: seed ${seed}`);
let started = performance.now();
const { faults, ...figures } = await crash({ kills, seed, progress });
tell(
  faults,
  `${figures.kills} kills in ${seconds()} s: ${figures.accepted} events accepted, ${figures.stored} stored; ` +
    `${figures.delivered} delivered over ${figures.connections} connections`,
);
for (const goesOn of [false, true]) {
  started = performance.now();
  const runs = await crashRuns({ kills: runKills, seed, goesOn, progress });
  const states = Object.entries(runs.states).map(([state, count]) => `${count} ${state}`);
  tell(
    runs.faults,
    `runs that are ${goesOn ? "gone on with" : "abandoned"}: ${runs.kills} kills while they were read, and ` +
      `${runs.earlyKills} at starts, in ${seconds()} s: ${runs.runs} runs (${states.join(", ")}), ` +
      `${runs.takeovers} takeovers, ${runs.readers} readers`,
  );
}

function seconds() {
  return ((performance.now() - started) / 1000).toFixed(1);
}

/**
 * @param {readonly string[]} faults
 * @param {string} summary
 */
function tell(faults, summary) {
  progress("");
  for (const fault of faults) console.log(`crash: ${fault}`);
  console.log(`crash: ${summary}; ${faults.length} faults`);
  if (faults.length > 0) process.exitCode = 1;
}

/** On one line of a terminal. @param {string} text */
function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
