import { createServer } from "node:http";

/**
 * A node:http server on a port of its own.
 *
 * @param {(req: import("node:http").IncomingMessage, res: import("node:http").ServerResponse, url: URL) => void} handler
 * @returns {() => Promise<number>}
 */
export function listenWith(handler) {
  const server = createServer((req, res) => handler(req, res, new URL(req.url ?? "/", "http://localhost")));
  return () =>
    new Promise((resolve) => {
      server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => resolve(portOf(server)));
    });
}

/** @param {{ address(): unknown }} server */
export function portOf(server) {
  return /** @type {import("node:net").AddressInfo} */ (server.address()).port;
}

/**
 * What the token handlers are asked for.
 *
 * @param {URLSearchParams} query
 */
export const tokensAsked = (query) => ({
  count: Number(query.get("count") ?? 1000),
  perTurn: Number(query.get("perTurn") ?? 0),
});

/** @param {URLSearchParams} query */
export const topicsAsked = (query) => (query.get("topics") ?? "ticks").split(",");
