// A small load balancer for streams: what `npm run start:cluster` puts before its nodes, and no more than that needs.
import { Agent, createServer, request as openRequest } from "node:http";
import { Socket } from "node:net";

/**
 * @typedef {object} BalancerOptions
 * @property {number} port 0 for a free one.
 * @property {string} [host] Default: all addresses.
 * @property {string} [healthPath] Default: `/healthz`.
 * @property {number} [healthEveryMs] Default: 1,000.
 * @property {number} [healthTimeoutMs] A node that does not answer for so long is taken for gone. Default: 10,000, since on a
 *   machine with other work a process may wait for seconds; clients notice a silent node by themselves, too.
 *
 * @typedef {object} Node
 * @property {string} name
 * @property {number} port
 * @property {boolean} healthy
 * @property {number} turn When it was last chosen.
 * @property {Set<import("node:http").ClientRequest>} requests
 *
 * @typedef {object} Exchange
 * @property {import("node:http").IncomingMessage} incoming
 * @property {import("node:http").ServerResponse} outgoing
 * @property {Set<Node>} tried
 */

/** Headers that speak of one connection only (RFC 9110, 7.6.1). */
const HOP_BY_HOP = new Set(
  "connection keep-alive proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade".split(
    " ",
  ),
);
const HOST = "127.0.0.1";

/**
 * Starts it.
 *
 * @param {BalancerOptions} options
 * @returns {Promise<Balancer>}
 */
export async function startBalancer(options) {
  const balancer = new Balancer(options);
  await balancer.listen();
  return balancer;
}

/**
 * Each request goes to the healthy node that has the fewest, those with as many in turn, both ways as it comes: nothing is
 * gathered, nothing times out. A node that refuses the connection is passed over for the next one, since it has seen
 * nothing of the request; so is, for GET and HEAD, one that is gone before it has answered. Whoever leaves, the other side
 * hears of it.
 */
class Balancer {
  /** Once it listens, the port that it has. */
  port;
  /** @type {Map<string, Node>} */
  #nodes = new Map();
  #turns = 0;
  #agent = new NodeAgent();
  #server = createServer((incoming, outgoing) => {
    incoming.socket.setNoDelay(true);
    this.#forward({ incoming, outgoing, tried: new Set() });
  });
  #options;
  /** @type {NodeJS.Timeout | undefined} */
  #checking;

  /** @param {BalancerOptions} options */
  constructor(options) {
    this.port = options.port;
    this.#options = { healthPath: "/healthz", healthEveryMs: 1000, healthTimeoutMs: 10_000, ...options };
  }

  async listen() {
    const { port, host, healthEveryMs } = this.#options;
    await new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ port, ...(host !== undefined && { host }) }, () => resolve(undefined));
    });
    const address = this.#server.address();
    if (address !== null && typeof address === "object") this.port = address.port;
    this.#checking = setInterval(() => {
      for (const node of this.#nodes.values()) void this.#check(node);
    }, healthEveryMs);
  }

  /** Adds a node on this machine, or gives it another port. @param {string} name @param {number} port */
  add(name, port) {
    this.remove(name);
    this.#nodes.set(name, { name, port, healthy: true, turn: 0, requests: new Set() });
  }

  /** Takes a node out: its connections end, so that clients come back elsewhere. @param {string} name */
  remove(name) {
    const node = this.#nodes.get(name);
    this.#nodes.delete(name);
    if (node !== undefined) drop(node);
  }

  nodes() {
    return [...this.#nodes.values()].map(({ name, healthy, requests }) => ({
      name,
      healthy,
      connections: requests.size,
    }));
  }

  /** Takes no more connections, and cuts those that are open. */
  async close() {
    clearInterval(this.#checking);
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  /** @param {Exchange} exchange */
  #forward(exchange) {
    const { incoming, outgoing, tried } = exchange;
    const node = this.#choose(tried);
    if (node === undefined) {
      refuse(outgoing, 503, "no server is there at the moment");
      return;
    }
    tried.add(node);
    const { method = "GET", url: path = "/" } = incoming;
    const headers = { ...endToEnd(incoming.headers), "x-forwarded-for": incoming.socket.remoteAddress };
    const upstream = openRequest({
      agent: this.#agent,
      host: HOST,
      port: node.port,
      method,
      path,
      headers,
    });
    node.requests.add(upstream);
    upstream.once("close", () => node.requests.delete(upstream));
    this.#join(upstream, exchange, method === "GET" || method === "HEAD");
  }

  /**
   * @param {import("node:http").ClientRequest} upstream
   * @param {Exchange} exchange
   * @param {boolean} repeatable
   */
  #join(upstream, exchange, repeatable) {
    const { incoming, outgoing } = exchange;
    let connected = false;
    const onLeave = () => void upstream.destroy();
    outgoing.once("close", onLeave);
    /** What is left of a body after the answer is for nobody, but the client may look at the answer only when it is out. */
    const leaveBody = () => {
      incoming.unpipe(upstream);
      incoming.resume();
    };
    upstream.once("socket", (socket) => {
      socket.setNoDelay(true);
      // Not before: what one node has taken of a body can't be had again for the next.
      socket.once("connect", () => {
        connected = true;
        incoming.pipe(upstream);
      });
    });
    upstream.once("response", (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, endToEnd(answer.headers));
      outgoing.flushHeaders();
      answer.pipe(outgoing);
      // Cut off in the middle: so is the client, which must not take that for the end.
      answer.once("error", () => outgoing.destroy());
      answer.once("end", leaveBody);
    });
    upstream.on("error", () => {
      incoming.unpipe(upstream);
      // The answer says itself whether it is whole.
      if (outgoing.headersSent || outgoing.destroyed) return;
      outgoing.off("close", onLeave);
      if (!connected || repeatable) this.#forward(exchange);
      else {
        refuse(outgoing, 502, "the server is gone");
        leaveBody();
      }
    });
  }

  /** @param {ReadonlySet<Node>} tried */
  #choose(tried) {
    const [node] = [...this.#nodes.values()]
      .filter((each) => each.healthy && !tried.has(each))
      .sort((a, b) => a.requests.size - b.requests.size || a.turn - b.turn);
    if (node !== undefined) node.turn = ++this.#turns;
    return node;
  }

  /** @param {Node} node */
  async #check(node) {
    const { healthPath, healthTimeoutMs } = this.#options;
    const health = await healthOf(node.port, healthPath, healthTimeoutMs);
    if (this.#nodes.get(node.name) !== node) return;
    // One that is draining says so, and still ends its streams in good order; one that says nothing does not.
    if (health === "silent") drop(node);
    else node.healthy = health === "well";
  }
}

/** A connection of its own for each request: one that is kept may be closed by the node just when it is used again. */
class NodeAgent extends Agent {
  constructor() {
    super({ keepAlive: false, maxSockets: Number.POSITIVE_INFINITY });
  }

  /** @override @param {import("node:net").TcpNetConnectOpts} options */
  createConnection(options) {
    return new NodeSocket().connect(options);
  }
}

/**
 * A socket on which writing may fail and reading goes on. A node that refuses an upload answers and closes while the body is
 * still coming: writing fails then, and the answer is there to be read. What can't be written is dropped; where no answer
 * comes, reading says so.
 */
class NodeSocket extends Socket {
  /** @override @param {any} chunk @param {BufferEncoding} encoding @param {(error?: Error | null) => void} callback */
  _write(chunk, encoding, callback) {
    super._write(chunk, encoding, () => callback());
  }

  /** @override @param {{ chunk: any, encoding: BufferEncoding }[]} chunks @param {(error?: Error | null) => void} callback */
  _writev(chunks, callback) {
    super._writev?.(chunks, () => callback());
  }
}

/** @param {Node} node */
function drop(node) {
  node.healthy = false;
  for (const request of node.requests) request.destroy();
}

/**
 * @param {import("node:http").ServerResponse} outgoing
 * @param {number} status
 * @param {string} error
 */
function refuse(outgoing, status, error) {
  outgoing.writeHead(status, { "Content-Type": "application/json", "Retry-After": "1" });
  outgoing.end(JSON.stringify({ error }));
}

/** @param {import("node:http").IncomingHttpHeaders} headers */
function endToEnd(headers) {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name)));
}

/**
 * `refused`: it says so, or nobody listens there, as while a node drains. `silent`: it is there and does not answer.
 *
 * @param {number} port
 * @param {string} path
 * @param {number} timeout
 * @returns {Promise<"well" | "refused" | "silent">}
 */
function healthOf(port, path, timeout) {
  return new Promise((resolve) => {
    const asking = openRequest({ agent: false, host: HOST, port, path, timeout }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200 ? "well" : "refused");
    });
    asking.once("timeout", () => {
      // Where it was this process that stood still, the answer may be there, and is read first.
      setImmediate(() => {
        resolve("silent");
        asking.destroy();
      });
    });
    asking.once("error", () => resolve("refused"));
    asking.end();
  });
}
