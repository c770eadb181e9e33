import { aimsTable, atMost } from "../lib/aims.js";
import { openAll, withServer } from "../lib/measure.js";
import { median, pairedRatio } from "../lib/stats.js";
import { number, times, whole } from "../lib/table.js";
import { HONO, NODE, OURS } from "../peers.js";

/**
 * What an open connection costs when nothing happens on it: resident memory of the server's process, which is not
 * disturbed by what else runs, so that all servers are measured at once.
 */

const WARM_UP = 200;

/** What Chromium sends with an EventSource: header fields stay in memory for as long as the request does. */
const BROWSER_HEADERS = [
  'sec-ch-ua: "Chromium";v="142", "Not_A Brand";v="99"',
  "sec-ch-ua-mobile: ?0",
  'sec-ch-ua-platform: "Linux"',
  "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
  "Cache-Control: no-cache",
  "Sec-Fetch-Site: same-origin",
  "Sec-Fetch-Mode: cors",
  "Sec-Fetch-Dest: empty",
  "Referer: http://127.0.0.1/dashboard",
  "Accept-Encoding: gzip, deflate, br, zstd",
  "Accept-Language: en-GB,en;q=0.9",
  "Cookie: session=c7f1b0e2a9d84c55b6f3e1d2a7c90b14",
  "",
].join("\r\n");

const REQUESTS = [
  { title: "bare request", headers: "", query: "", mostTimesNode: 1 },
  { title: "a browser's headers", headers: BROWSER_HEADERS, query: "", mostTimesNode: undefined },
  // To servers without that option it is the same request again.
  { title: "freeRequestHeaders", headers: BROWSER_HEADERS, query: "&free=1", mostTimesNode: 0.9 },
];

/** @typedef {{ peer: import("../peers.js").Peer, bytes: number[] } & typeof REQUESTS[number]} Case */

/**
 * @param {import("../run.js").Bench} bench
 * @param {Case} subject
 * @param {number} connections
 * @returns {Promise<number>} bytes for each connection
 */
function measure(bench, { peer, headers, query }, connections) {
  const paths = `/events?topics=ticks${query}`;
  const settleMs = bench.quick ? 200 : 8000;
  return withServer(bench, peer.start, async (pair) => {
    const { server, clients } = pair;
    await openAll(pair, { headers, paths, group: "warm up", count: Math.min(WARM_UP, connections) });
    await clients.call("close", { group: "warm up" });
    const before = await server.call("memory", { settleMs });
    await openAll(pair, { headers, paths, count: connections });
    const after = await server.call("memory", { settleMs });
    return (after.rssBytes - before.rssBytes) / connections;
  });
}

/** @param {import("../run.js").Bench} bench */
export async function benchIdle(bench) {
  const connections = bench.quick ? 200 : 5000;
  const peers = bench.peers.filter(({ fanoutAlone }) => !fanoutAlone);
  /** @type {Case[]} */
  const cases = peers.flatMap((peer) => REQUESTS.map((request) => ({ peer, ...request, bytes: [] })));
  for (let round = 0; round < bench.rounds; round++) {
    bench.progress(`idle memory, round ${round + 1}: all servers at once`);
    await Promise.all(
      cases.map(async (subject) => subject.bytes.push(await measure(bench, subject, connections))),
    );
  }
  /** @param {string} name @param {string} title */
  const bytesOf = (name, title) => cases.find((c) => c.peer.name === name && c.title === title)?.bytes ?? [];
  const results = peers.map(({ name }) => ({
    label: name,
    connections,
    requests: REQUESTS.map(({ title }) => {
      const rounds = bytesOf(name, title);
      return {
        request: title,
        bytes: median(rounds),
        timesHono: pairedRatio(rounds, bytesOf(HONO, title)),
        timesNode: pairedRatio(rounds, bytesOf(NODE, title)),
        rounds,
      };
    }),
  }));
  const table = {
    title: `Idle memory at ${whole(connections)} connections, resident, for each`,
    header: ["", ...REQUESTS.flatMap(({ title }) => [title, "× Hono", "× node"])],
    rows: results.map((r) => [
      r.label,
      ...r.requests.flatMap((q) => [`${number(q.bytes / 1000)} kB`, times(q.timesHono), times(q.timesNode)]),
    ]),
  };
  const ours = results.find(({ label }) => label === OURS)?.requests ?? [];
  const aims = ours.flatMap(({ request, timesNode }, index) => {
    const most = REQUESTS[index]?.mostTimesNode;
    return most === undefined ? [] : [atMost(`${OURS} beside ${NODE}, ${request}`, timesNode, most, times)];
  });
  return { results, aims, tables: [table, aimsTable(aims)] };
}
