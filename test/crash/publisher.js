// Publishes to a log, one after the other and many at once, and says at once what was accepted, what failed, and what a
// subscriber was shown. Each event carries a text by which it is found in a trace of this process' system calls.
import { writeSync } from "node:fs";
import { createHub } from "everstream";
import { lmdbLog } from "everstream/lmdb";
import { markOf } from "./trace.js";

const EVENTS = 60;
const AT_ONCE = 5;

/** @param {string} line */
const say = (line) => writeSync(1, `${line}\n`);

const hub = createHub({ log: lmdbLog({ path: String(process.argv[2]) }) });
await hub.subscribe("t", ({ data }) => say(`shown ${data}`)).ready;

/** @param {number} n */
async function publish(n) {
  try {
    await hub.publish("t", { text: markOf(n) });
    say(`accepted ${markOf(n)}`);
  } catch (error) {
    say(`failed ${markOf(n)} ${/** @type {{ code?: string }} */ (error).code}`);
  }
}

for (let n = 0; n < EVENTS; n++) await publish(n);
await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => publish(EVENTS + index)));
for (const { data } of (await hub.read("t")).events) say(`holds ${data}`);
await hub.close();
