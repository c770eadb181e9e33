// A server on a log in a folder, made to be killed: it publishes without a pause, says on its output what was accepted,
// and streams everything to whoever connects. The harness starts it, kills it, and starts it again.
import { writeSync } from "node:fs";
import { createServer } from "node:http";
import { createHub } from "everstream";
import { lmdbLog } from "everstream/lmdb";
import { streamTopics } from "everstream/node";
import { BATCH, isBatch, laneTopic, RING, RING_EVENTS, SAID, shortTopic } from "./scheme.js";

/** @typedef {{ path: string, port: number, next: number[], short: number }} Start What the harness passes. */

/** @type {Start} */
const start = JSON.parse(/** @type {string} */ (process.argv[2]));

const KEEP_ALL = { maxEvents: 1e9, maxBytes: 1e12, maxAge: 1e12 };
const hub = createHub({
  log: lmdbLog({ path: start.path }),
  retention: (topic) => (topic === RING ? { ...KEEP_ALL, maxEvents: RING_EVENTS } : KEEP_ALL),
});

let stopping = false;

/** At once, and with an end that shows whether all of it was said. @param {...(string | number)} words */
function say(...words) {
  writeSync(1, `${words.join(" ")} ${SAID}\n`);
}

/**
 * Publishes one number after the other, in batches now and then. After a restart it begins with the first number whose
 * outcome nobody knows, under the same `publishId`: if it was stored, it must not be stored again.
 *
 * @param {number} lane
 * @param {number} first
 */
async function runLane(lane, first) {
  for (let n = first; !stopping; ) {
    const count = isBatch(n) ? BATCH : 1;
    const events = Array.from({ length: count }, (_, index) => ({ data: [lane, n + index] }));
    const ids = await hub.publish(laneTopic(lane), events, { publishId: String(n) });
    say("accepted", lane, n, ids.join());
    n += count;
  }
}

/** Trims with every publish. */
async function runRing() {
  for (let n = 0; !stopping; n++) await hub.publish(RING, { data: n });
}

/** Topics that come and go. @param {number} first */
async function runShort(first) {
  for (let n = first; !stopping; n++) {
    const topic = shortTopic(n);
    await hub.publish(topic, [{ data: 1 }, { data: 2 }]);
    if (n % 2 === 0) await hub.delete(topic);
    else await hub.finish(topic);
    say(n % 2 === 0 ? "deleted" : "finished", topic);
  }
}

const server = createServer((req, res) => {
  const topics = new URL(req.url ?? "/", "http://localhost").searchParams.getAll("topic");
  void streamTopics(req, res, hub, { topics, from: "start", retry: 50 });
});
// A connection of the process before may still hold the port for a moment.
server.on("error", () => setTimeout(() => server.listen(start.port, "127.0.0.1"), 10));
server.listen(start.port, "127.0.0.1");

await hub.position();
say("ready");
const work = [...start.next.map((first, lane) => runLane(lane, first)), runRing(), runShort(start.short)];
process.stdin.once("data", async () => {
  stopping = true;
  await Promise.all(work);
  say("stopped");
});
