import { createServer, type RequestListener, Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { invalidOption } from "../errors.ts";
import { hasMethod } from "../input.ts";
import { fetchListener } from "./fetch-listener.ts";

/** What can be served: a `node:http` listener (an Express application is one), a Fetch server, or a server made already. */
export type Served = RequestListener | { fetch(request: Request): Response | Promise<Response> } | Server;

/** A server on a port of its own, for one test. */
export interface TestServer {
  /** `http://127.0.0.1:<port>`, without a slash at its end. */
  readonly url: string;
  readonly port: number;
  readonly server: Server;
  /** The connections that are open now. */
  readonly sockets: ReadonlySet<Socket>;
  /**
   * Cuts all open connections, as a failing network does.
   *
   * @param afterBytes Each of them once so many further bytes have left to the client. Default: 0, at once.
   */
  cut(afterBytes?: number): void;
  /** Stops listening and cuts what is open. May be called twice. */
  close(): Promise<void>;
}

/**
 * Serves over a real `node:http` server on a free port of the loopback interface.
 *
 * @throws EverstreamError (as a rejection) `INVALID_OPTION` for what can't be served.
 */
export async function serveForTest(served: Served): Promise<TestServer> {
  const server = served instanceof Server ? served : createServer(listenerOf(served));
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  let closing: Promise<void> | undefined;
  const cut = (afterBytes = 0): void => {
    for (const socket of sockets) cutSocket(socket, afterBytes);
  };
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    server,
    sockets,
    cut,
    close() {
      closing ??= new Promise((resolve) => {
        server.close(() => resolve());
        cut();
      });
      return closing;
    },
  };
}

function listenerOf(served: Exclude<Served, Server>): RequestListener {
  if (typeof served === "function") return served;
  if (hasMethod(served, "fetch")) return fetchListener((request) => served.fetch(request));
  throw invalidOption(
    "Served is a `node:http` listener or server, or an object with `fetch`, as Hono's are.",
  );
}

/** Lets `left` bytes through and ends the connection with the last of them, wherever in a chunk that is. */
function cutSocket(socket: Socket, left: number): void {
  if (left <= 0) {
    socket.destroy();
    return;
  }
  const write = socket.write.bind(socket) as (data: Uint8Array) => boolean;
  let room = left;
  socket.write = (data: Uint8Array | string, encodingOrDone?: unknown, done?: unknown): boolean => {
    const encoding = typeof encodingOrDone === "string" ? (encodingOrDone as BufferEncoding) : "utf8";
    const bytes = typeof data === "string" ? Buffer.from(data, encoding) : data;
    const part = bytes.subarray(0, room);
    room -= part.length;
    const flowing = room >= 0 && write(part);
    if (room <= 0) socket.destroySoon();
    const callback = typeof encodingOrDone === "function" ? encodingOrDone : done;
    if (typeof callback === "function") process.nextTick(callback as () => void);
    return flowing;
  };
}
