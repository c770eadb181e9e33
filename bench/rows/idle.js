import { median, pairedRatio } from "../lib/stats.js";
import { number, section, times, whole } from "../lib/table.js";
import { HONO, NODE } from "../peers.js";

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
  { title: "bare request", headers: "" },
  { title: "a browser's headers", headers: BROWSER_HEADERS },
];

/** @typedef {{ peer: import("../peers.js").Peer, title: string, headers: string, bytes: number[] }} Case */

/**
 * @param {import("../run.js").Bench} bench
 * @param {Case} subject
 * @param {number} connections
 * @returns {Promise<number>} bytes for each connection
 */
async function measure({ generator, quick }, { peer, headers }, connections) {
  const settleMs = quick ? 200 : 8000;
  const server = peer.start();
  const clients = generator.start();
  try {
    await clients.reply();
    const { port } = await server.reply();
    const request = { port, headers, paths: "/events?topics=ticks" };
    await clients.call("open", { ...request, group: "warm up", count: Math.min(WARM_UP, connections) });
    await clients.call("close", { group: "warm up" });
    const before = await server.call("memory", { settleMs });
    const opened = await clients.call("open", { ...request, count: connections });
    if (opened.open !== connections) throw new Error(`${peer.name}: only ${opened.open} connections opened`);
    const after = await server.call("memory", { settleMs });
    return (after.rssBytes - before.rssBytes) / connections;
  } finally {
    await Promise.all([server.close(), clients.close()]);
  }
}

/** @param {import("../run.js").Bench} bench */
export async function benchIdle(bench) {
  const connections = bench.quick ? 200 : 5000;
  /** @type {Case[]} */
  const cases = bench.peers.flatMap((peer) => REQUESTS.map((request) => ({ peer, ...request, bytes: [] })));
  for (let round = 0; round < bench.rounds; round++) {
    bench.progress(`idle memory, round ${round + 1}: all servers at once`);
    await Promise.all(
      cases.map(async (subject) => subject.bytes.push(await measure(bench, subject, connections))),
    );
  }
  /** @param {string} name @param {string} title */
  const bytesOf = (name, title) => cases.find((c) => c.peer.name === name && c.title === title)?.bytes ?? [];
  const results = bench.peers.map(({ name }) => ({
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
  return {
    results,
    text: section(
      `Idle memory at ${whole(connections)} connections, resident, for each`,
      ["", ...REQUESTS.flatMap(({ title }) => [title, "× Hono", "× node"])],
      results.map((r) => [
        r.label,
        ...r.requests.flatMap((q) => [
          `${number(q.bytes / 1000)} kB`,
          times(q.timesHono),
          times(q.timesNode),
        ]),
      ]),
    ),
  };
}
