import { once } from "node:events";
import { writeTokens } from "./event.js";
import { host } from "./host.js";
import { listenWith, tokensAsked } from "./listen.js";

// What one writes by hand: a set of responses, one frame made for all of them, one `res.write` each.

/** @type {Set<import("node:http").ServerResponse>} */
const responses = new Set();

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
  responses.add(res);
  res.once("close", () => responses.delete(res));
});

await host({
  listen,
  publish(data) {
    const frame = Buffer.from(`event: tick\ndata: ${JSON.stringify(data)}\n\n`);
    for (const res of responses) res.write(frame);
  },
});
