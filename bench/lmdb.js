/**
 * Durable publishing beside lmdb itself, in one run: so many publishers, each waiting for its last event to be on disk
 * before it publishes the next. Then reading it all back. Needs the built package.
 *
 * `node bench/lmdb.js [--events 20000] [--publishers 64] [--rounds 5] [--path /a/folder/on/the/disk]`. With `--json` it
 * says the rounds' figures on one line, for the row `durable` of `npm run bench`.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { open } from "lmdb";
import { createHub } from "../dist/index.js";
import { lmdbLog } from "../dist/logs/lmdb.js";
import { durableTable, HUB_PUBLISH, RAW_LMDB } from "./lib/durable.js";
import { rotated } from "./lib/stats.js";
import { asText } from "./lib/table.js";

const { values } = parseArgs({
  options: {
    events: { type: "string", default: "20000" },
    publishers: { type: "string", default: "64" },
    rounds: { type: "string", default: "5" },
    path: { type: "string", default: tmpdir() },
    json: { type: "boolean", default: false },
  },
});
const events = Number(values.events);
const publishers = Number(values.publishers);
const rounds = Number(values.rounds);

const TEXT = "x".repeat(150);
/** As much as everstream's record of such an event. */
const RECORD = Buffer.alloc(185, "x");
const TOPICS = [1, 64];
const KEEP_ALL = { maxEvents: 1e9, maxBytes: 1e12 };

/**
 * Has all publishers publish in turns until all events are out.
 *
 * @param {(index: number) => Promise<unknown>} publish
 */
async function publishAll(publish) {
  const latencies = [];
  let next = 0;
  const one = async () => {
    while (next < events) {
      const begun = performance.now();
      await publish(next++);
      latencies.push(performance.now() - begun);
    }
  };
  const begun = performance.now();
  await Promise.all(Array.from({ length: publishers }, one));
  const seconds = (performance.now() - begun) / 1000;
  latencies.sort((a, b) => a - b);
  const at = (/** @type {number} */ share) =>
    latencies[Math.floor(share * (latencies.length - 1))] ?? Number.NaN;
  return { perSecond: events / seconds, p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** lmdb as its documentation says it is used, with keys and values like everstream's. */
async function measureRaw(folder, topics) {
  const db = open({
    path: join(folder, "raw.mdb"),
    noSubdir: true,
    encoding: "binary",
    keyEncoding: "binary",
  });
  const published = await publishAll(async (index) => {
    const key = Buffer.alloc(15);
    key.writeUInt32BE(1 + (index % topics), 4);
    key.writeUInt32BE(index, 11);
    await db.put(key, RECORD);
    await db.flushed;
  });
  const commits = db.getStats().lastTxnId;
  const begun = performance.now();
  let count = 0;
  for (const { value } of db.getRange()) if (value.length === RECORD.length) count++;
  const readPerSecond = count / ((performance.now() - begun) / 1000);
  await db.close();
  return { ...published, commitSize: events / commits, readPerSecond };
}

/** The log as a hub uses it, without the hub. */
async function measureLog(folder, topics) {
  let commits = 0;
  const connection = await lmdbLog({ path: join(folder, "log") }).open({
    onEntries: () => commits++,
    onEpoch: () => undefined,
  });
  const published = await publishAll((index) =>
    connection.append({
      topic: `topic:${index % topics}`,
      events: [eventAt(Date.now())],
      mark: undefined,
      expectLast: undefined,
      publishId: undefined,
      publishIdWindowMs: 0,
      retention: { maxEvents: KEEP_ALL.maxEvents, maxBytes: KEEP_ALL.maxBytes, maxAgeMs: 86_400_000 },
      now: Date.now(),
    }),
  );
  const names = Array.from({ length: topics }, (_, topic) => `topic:${topic}`);
  const begun = performance.now();
  let count = 0;
  for (let after = 0, page; count < events; after = page.through) {
    page = await connection.read({ topics: names, after, maxEntries: 1000, maxBytes: 32 * 1024 });
    count += page.entries.length;
  }
  const readPerSecond = count / ((performance.now() - begun) / 1000);
  await connection.close();
  return { ...published, commitSize: events / commits, readPerSecond };
}

function eventAt(time) {
  return { type: "message", data: TEXT, json: false, key: undefined, meta: undefined, time, version: 1 };
}

/** All of it: what an application calls. */
async function measureHub(folder, topics) {
  const path = join(folder, "hub");
  const hub = createHub({ log: lmdbLog({ path }), retention: KEEP_ALL });
  const published = await publishAll((index) => hub.publish(`topic:${index % topics}`, { text: TEXT }));
  const names = Array.from({ length: topics }, (_, topic) => `topic:${topic}`);
  const begun = performance.now();
  let count = 0;
  for await (const event of hub.events(names, { from: "start" })) {
    if (event.data.length === TEXT.length && ++count === events) break;
  }
  const readPerSecond = count / ((performance.now() - begun) / 1000);
  await hub.close();
  const db = open({ path: join(path, "events.mdb"), noSubdir: true, overlappingSync: false });
  const commits = db.getStats().lastTxnId;
  await db.close();
  return { ...published, commitSize: events / commits, readPerSecond };
}

const SUBJECTS = [
  { name: RAW_LMDB, measure: measureRaw },
  { name: "lmdbLog: append", measure: measureLog },
  { name: HUB_PUBLISH, measure: measureHub },
];

/** All subjects in every round, each time another one first. */
async function measureAll(topics) {
  const results = new Map(SUBJECTS.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const { name, measure } of rotated(SUBJECTS, round)) {
      const folder = mkdtempSync(join(values.path, "everstream-bench-"));
      try {
        results.get(name).push(await measure(folder, topics));
      } finally {
        rmSync(folder, { recursive: true });
      }
    }
  }
  return results;
}

const all = [];
for (const topics of TOPICS) {
  const subjects = Object.fromEntries(await measureAll(topics));
  all.push({ topics, events, publishers, subjects });
}
if (values.json) console.log(JSON.stringify({ all }));
else {
  console.log(`on ${values.path}, medians of ${rounds} interleaved rounds`);
  for (const measured of all) console.log(`\n${asText(durableTable(measured))}`);
}
