// npm run crash [-- --kills 50 --seed 1]: kills a server on an LMDB log at random moments and starts it again, then checks
// that everything it had accepted is there, in order, once, and that clients who lived through it have it all.
import { parseArgs } from "node:util";
import { crash } from "../test/crash/harness.js";
import { build } from "./lib/build-steps.js";

const { values } = parseArgs({ options: { kills: { type: "string" }, seed: { type: "string" } } });
const kills = Number(values.kills ?? 50);
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));

if (!(await build({ parts: ["package"], missingOnly: true }))) process.exit(1);
console.log(`crash: seed ${seed}`);
const started = performance.now();
const { faults, ...figures } = await crash({ kills, seed, progress });
progress("");
const seconds = ((performance.now() - started) / 1000).toFixed(1);
for (const fault of faults) console.log(`crash: ${fault}`);
console.log(
  `crash: ${figures.kills} kills in ${seconds} s: ${figures.accepted} events accepted, ${figures.stored} stored; ` +
    `${figures.delivered} delivered over ${figures.connections} connections; ${faults.length} faults`,
);
process.exitCode = faults.length === 0 ? 0 : 1;

/** On one line of a terminal. @param {string} text */
function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
