import { once } from "node:events";
import { writeTokens } from "./event.js";
import { host } from "./host.js";
import { listenWith, tokensAsked, topicsAsked } from "./listen.js";

// What one writes by hand: a set of responses for each topic, one frame made for all of them, one `res.write` each.

/** @type {Map<string, Set<import("node:http").ServerResponse>>} */
const responses = new Map();

const HEADERS = { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" };

const listen = listenWith((_req, res, url) => {
  res.writeHead(200, HEADERS);
  res.flushHeaders();
  if (url.pathname === "/tokens") {
    const { count, perTurn } = tokensAsked(url.searchParams);
    void writeTokens(count, perTurn, (token) =>
      res.write(`event: token\ndata: ${token}\n\n`) ? undefined : once(res, "drain"),
    ).then(() => res.end());
    return;
  }
  for (const topic of topicsAsked(url.searchParams)) {
    if (!responses.has(topic)) responses.set(topic, new Set());
    responses.get(topic)?.add(res);
  }
  // Asked of all topics: to keep which ones would cost each connection memory.
  res.once("close", () => {
    for (const subscribed of responses.values()) subscribed.delete(res);
  });
});

await host({
  listen,
  publish(data, topic) {
    const frame = Buffer.from(`event: tick\ndata: ${JSON.stringify(data)}\n\n`);
    for (const res of responses.get(topic) ?? []) res.write(frame);
  },
});
