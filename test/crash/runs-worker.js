// A server of runs on a log in a folder, made to be killed. Its producers say on the process' output how much they are
// about to write, and what the log has acknowledged. The harness starts it, kills it, and starts it again.
import { writeSync } from "node:fs";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { createHub, createRuns } from "everstream";
import { lmdbLog } from "everstream/lmdb";
import { runRoutes } from "everstream/node";
import { countOf, MARK, pieceOf } from "./runs-scheme.js";
import { SAID } from "./scheme.js";

/**
 * @typedef {{ path: string, port: number, goesOn: boolean, isLast: boolean }} Start What the harness passes. `goesOn`: runs
 *   that have lost their process are gone on with. `isLast`: endless runs come to their end now.
 * @typedef {{ pieces: number | "endless" }} Input
 */

/** @type {Start} */
const start = JSON.parse(/** @type {string} */ (process.argv[2]));
/** What an endless run writes in the last process that it is in. */
const LAST_PIECES = 50;

/** At once, and with an end that shows whether all of it was said. @param {...(string | number)} words */
function say(...words) {
  writeSync(1, `${words.join(" ")} ${SAID}\n`);
}

/**
 * @param {Input} input
 * @param {number} written How many pieces are there already.
 * @returns {import("everstream").Produce}
 */
const producer =
  ({ pieces }, written) =>
  async (run) => {
    const endless = start.isLast ? written + LAST_PIECES : Number.POSITIVE_INFINITY;
    const end = pieces === "endless" ? endless : pieces;
    say("begun", run.id);
    for (let n = written; n < end && !run.signal.aborted; n++) {
      say("writes", run.id, n + 1);
      await run.text(pieceOf(run.id, n));
      if (n % 7 === 0) {
        run.progress({ done: n, total: 1000 });
        await run.send(MARK, n);
        say("acknowledged", run.id, n + 1);
      }
      if (n % 3 === 0) await sleep(1);
    }
    void sayEnd(run.id);
  };

/** @param {string} id */
async function sayEnd(id) {
  const { state } = await runs.ended(id);
  say("ended", id, state);
}

const runs = createRuns({
  hub: createHub({ log: lmdbLog({ path: start.path }) }),
  ...(start.goesOn && {
    onAbandoned: ({ input }, text) => producer(/** @type {Input} */ (input), countOf(text)),
  }),
});

const routes = runRoutes(runs, {
  start: async (request) => {
    const input = /** @type {Input} */ (await request.json());
    return { input, produce: producer(input, 0) };
  },
  authorize: () => true,
  join: { retry: 20 },
});
const server = createServer((req, res) => void routes(req, res));
// A connection of the process before may still hold the port for a moment.
server.on("error", () => setTimeout(() => server.listen(start.port, "127.0.0.1"), 10));
server.listen(start.port, "127.0.0.1");

await runs.running();
say("ready");
