// Every way in which a handler's stream reaches a client, behind one face, so that one suite can hold them all to the
// same promises.
import { createServer, type RequestListener } from "node:http";
import { type ClientHttp2Session, connect, constants, createServer as createHttp2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { createAdaptorServer, getRequestListener } from "@hono/node-server";
import { type CloseReason, type EventStreamWriter, type HandlerOptions, streamEvents } from "everstream";
import { streamSSE } from "everstream/hono";
import { streamSSE as streamNode } from "everstream/node";
import { Recording, rawRequest, serveForTest } from "everstream/testing";
import { Hono } from "hono";

/** A callback as users write it, with the request's own signal where the way has one. */
export type Handler = (
  stream: EventStreamWriter,
  requestSignal: () => AbortSignal | undefined,
) => void | Promise<void>;

export interface ClientOptions {
  method?: string;
  headers?: Record<string, string>;
}

/** A client that reads all that comes. */
export interface Client extends Recording {
  readonly status: number;
  pause(): void;
  resume(): void;
  /** Leaves without a word. */
  destroy(): void;
}

export interface Serving {
  open(options?: ClientOptions): Promise<Client>;
  /** Stops accepting; resolves when all connections are closed. `undefined` where there is no server. */
  closeServer: (() => Promise<void>) | undefined;
  /** Gives everything back, whatever is open. */
  dispose(): Promise<void>;
}

export interface Way {
  readonly name: string;
  /** The close reason of a session whose client left. */
  readonly left: CloseReason;
  /** There is a request whose signal can be read. */
  readonly hasSignal: boolean;
  /** What carries the stream; only over a connection can a client stall. */
  readonly carrier: "HTTP/1.1" | "HTTP/2" | "memory";
  /** The session sees the connection beneath, and that its server closes. */
  readonly seesServer: boolean;
  serve(handler: Handler, options?: HandlerOptions): Promise<Serving>;
}

const nodeListener =
  (handler: Handler, options?: HandlerOptions): RequestListener =>
  (req, res) =>
    streamNode(req, res, (stream) => handler(stream, () => undefined), options);

/** A middleware that stands between the handler and the response, as Express' `compression` does. */
const patchedListener =
  (handler: Handler, options?: HandlerOptions): RequestListener =>
  (req, res) => {
    const write = res.write.bind(res) as (chunk: unknown) => boolean;
    res.write = (chunk: unknown) => write(chunk);
    nodeListener(handler, options)(req, res);
  };

function honoApp(handler: Handler, options: HandlerOptions & { direct?: boolean } = {}): Hono {
  const { onError, ...rest } = options;
  const app = new Hono();
  app.get("/", (c) => streamSSE(c, (stream) => handler(stream, () => c.req.raw.signal), onError, rest));
  return app;
}

/** An application whose middleware passes every body through a stream of its own. */
function wrappingApp(handler: Handler, options?: HandlerOptions): Hono {
  const app = new Hono();
  app.use(async (c, next) => {
    await next();
    if (c.res.body !== null) c.res = new Response(c.res.body.pipeThrough(new TransformStream()), c.res);
  });
  return app.route("/", honoApp(handler, options));
}

export const ways: readonly Way[] = [
  overSocket("node:http", nodeListener),
  overSocket("node:http, res.write patched", patchedListener),
  overHttp2("node:http2", (handler, options) =>
    createHttp2Server((req, res) =>
      streamNode(req, res, (stream) => handler(stream, () => undefined), options),
    ),
  ),
  overSocket("Hono on Node", (handler, options) => getRequestListener(honoApp(handler, options).fetch), true),
  overSocket(
    "Hono on Node, without the shortcut",
    (handler, options) => getRequestListener(honoApp(handler, { ...options, direct: false }).fetch),
    true,
  ),
  overSocket(
    "Hono on Node, wrapped",
    (handler, options) => getRequestListener(wrappingApp(handler, options).fetch),
    true,
  ),
  overHttp2(
    "Hono on Node, HTTP/2",
    (handler, options) =>
      createAdaptorServer({
        fetch: honoApp(handler, options).fetch,
        createServer: createHttp2Server,
      }) as ReturnType<typeof createHttp2Server>,
    true,
  ),
  inMemory(
    "Hono, app.request()",
    "cancel",
    (handler, options) => (request) => honoApp(handler, options).fetch(request),
  ),
  inMemory("Fetch, left by cancel", "cancel", fetchHandler),
  inMemory("Fetch, left by abort", "abort", fetchHandler),
  {
    ...overSocket("Fetch over a connection", () => () => undefined, true),
    seesServer: false,
    serve: async (handler, options) => served(await serveForTest({ fetch: fetchHandler(handler, options) })),
  },
];

type FetchHandler = (request: Request) => Response | Promise<Response>;

function fetchHandler(handler: Handler, options?: HandlerOptions): FetchHandler {
  return (request) => streamEvents(request, (stream) => handler(stream, () => request.signal), options);
}

function overSocket(
  name: string,
  listenerOf: (handler: Handler, options?: HandlerOptions) => RequestListener,
  hasSignal = false,
): Way {
  return {
    name,
    left: "disconnected",
    hasSignal,
    carrier: "HTTP/1.1",
    seesServer: true,
    serve: async (handler, options) => served(await serveForTest(createServer(listenerOf(handler, options)))),
  };
}

function served(server: Awaited<ReturnType<typeof serveForTest>>): Serving {
  return {
    open: (options) => rawRequest(server, "/", options),
    closeServer: () => new Promise<void>((resolve) => server.server.close(() => resolve())),
    dispose: () => server.close(),
  };
}

function overHttp2(
  name: string,
  serverOf: (handler: Handler, options?: HandlerOptions) => ReturnType<typeof createHttp2Server>,
  hasSignal = false,
): Way {
  return {
    name,
    left: "disconnected",
    hasSignal,
    carrier: "HTTP/2",
    seesServer: true,
    serve: async (handler, options) => {
      const server = serverOf(handler, options);
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
      return {
        open: (options) => openHttp2(session, options),
        closeServer: () =>
          new Promise<void>((resolve) => {
            server.close(() => resolve());
            // A client that is told to go away does so once its streams have ended.
            session.close();
          }),
        dispose: async () => {
          session.destroy();
          await new Promise((resolve) => server.close(resolve));
        },
      };
    },
  };
}

class Http2Client extends Recording implements Client {
  status = 0;
  pause: () => void = () => undefined;
  resume: () => void = () => undefined;
  destroy: () => void = () => undefined;

  read(session: ClientHttp2Session, { method = "GET", headers = {} }: ClientOptions): Promise<this> {
    const stream = session.request({ ...headers, ":method": method, ":path": "/" });
    this.pause = () => stream.pause();
    this.resume = () => stream.resume();
    this.destroy = () => stream.close(constants.NGHTTP2_CANCEL);
    return new Promise((resolve, reject) => {
      stream.on("response", (head) => {
        this.status = Number(head[":status"]);
        for (const [name, value] of Object.entries(head)) this.headers[name] = String(value);
        resolve(this);
      });
      stream.on("data", (bytes: Buffer) => this.add(bytes));
      stream.on("error", reject);
      let whole = false;
      stream.on("end", () => {
        whole = stream.rstCode === constants.NGHTTP2_NO_ERROR && !stream.aborted;
      });
      stream.on("close", () => {
        this.finish(whole && stream.rstCode === constants.NGHTTP2_NO_ERROR ? "complete" : "cut");
      });
    });
  }
}

function openHttp2(session: ClientHttp2Session, options: ClientOptions = {}): Promise<Client> {
  return new Http2Client().read(session, options);
}

function inMemory(
  name: string,
  leaveBy: "cancel" | "abort",
  handlerOf: (handler: Handler, options?: HandlerOptions) => FetchHandler,
): Way {
  return {
    name,
    left: leaveBy === "cancel" ? "cancelled" : "disconnected",
    hasSignal: true,
    carrier: "memory",
    seesServer: false,
    serve: async (handler, options) => {
      const fetch = handlerOf(handler, options);
      const clients: MemoryClient[] = [];
      return {
        open: async (options) => {
          const client = new MemoryClient(leaveBy);
          clients.push(client);
          return client.read(fetch, options ?? {});
        },
        closeServer: undefined,
        dispose: async () => {
          for (const client of clients) client.destroy();
        },
      };
    },
  };
}

class MemoryClient extends Recording implements Client {
  status = 0;
  readonly #leaveBy: "cancel" | "abort";
  readonly #controller = new AbortController();
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #paused: Promise<void> | undefined;
  #resume: () => void = () => undefined;

  constructor(leaveBy: "cancel" | "abort") {
    super();
    this.#leaveBy = leaveBy;
  }

  async read(fetch: FetchHandler, options: ClientOptions): Promise<this> {
    const { signal } = this.#controller;
    const response = await fetch(new Request("http://test/", { ...options, signal }));
    this.status = response.status;
    response.headers.forEach((value, name) => {
      this.headers[name] = value;
    });
    this.#reader = response.body?.getReader();
    void this.#readAll();
    return this;
  }

  pause(): void {
    this.#paused ??= new Promise((resolve) => {
      this.#resume = resolve;
    });
  }

  resume(): void {
    this.#resume();
    this.#paused = undefined;
  }

  destroy(): void {
    if (this.#leaveBy === "abort") this.#controller.abort();
    else this.#reader?.cancel().catch(() => undefined);
    // What a client holds of the body would keep the stream's error, and with it all that had a part in it.
    this.#reader = undefined;
  }

  async #readAll(): Promise<void> {
    try {
      for (let part = await this.#reader?.read(); part?.done === false; part = await this.#reader?.read()) {
        this.add(part.value);
        await this.#paused;
      }
      this.finish("complete");
    } catch {
      // The server broke the stream off.
      this.finish("cut");
    }
  }
}
