import { connect, type Socket } from "node:net";
import { EverstreamError, invalidOption } from "../errors.ts";
import { assertOptions, type NamesOf } from "../input.ts";
import { RawResponse } from "./raw-response.ts";

/** What to send, and how. */
export interface RawRequestOptions {
  /** Default: `GET`. */
  method?: string;
  headers?: Readonly<Record<string, string>>;
  body?: string;
  /** `1.0` speaks as an old client, which knows no chunks. Default: `1.1`. */
  httpVersion?: "1.0" | "1.1";
}

/** One TCP connection that speaks HTTP/1 and records what arrives. */
export interface RawConnection {
  readonly socket: Socket;
  /** Sends a request without waiting for earlier ones; resolves with the head of its response. */
  request(path: string, options?: RawRequestOptions): Promise<RawResponse>;
}

/**
 * Opens a connection for requests one after the other, or pipelined.
 *
 * @param server A test server, its URL, or a port of the loopback interface.
 * @throws EverstreamError (as a rejection) `INVALID_OPTION`.
 */
export async function connectRaw(server: { url: string } | string | number): Promise<RawConnection> {
  const { hostname, port } = new URL(urlOf(server));
  const socket = connect(Number(port), hostname);
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  return new Connection(socket, `${hostname}:${port}`);
}

/**
 * Sends one request on a connection of its own; resolves with the response when its head has arrived.
 *
 * ```ts
 * const raw = await rawRequest(server, "/events");
 * await raw.until("data: 3");
 * raw.pause(); // a client that has stalled
 * raw.destroy();
 * ```
 *
 * @param server A test server, its URL, or a port of the loopback interface.
 * @throws EverstreamError (as a rejection) `INVALID_OPTION`.
 */
export async function rawRequest(
  server: { url: string } | string | number,
  path = "/",
  options?: RawRequestOptions,
): Promise<RawResponse> {
  return (await connectRaw(server)).request(path, options);
}

function urlOf(server: { url: string } | string | number): string {
  if (typeof server === "number") return `http://127.0.0.1:${server}`;
  const url: unknown = typeof server === "string" ? server : Object(server).url;
  if (typeof url === "string" && URL.canParse(url)) return url;
  throw invalidOption("`server` must be a test server, its URL, or a port.");
}

const NAMES: NamesOf<RawRequestOptions> = { method: true, headers: true, body: true, httpVersion: true };

interface Waiting {
  readonly response: RawResponse;
  readonly begun: (response: RawResponse) => void;
  readonly failed: (error: Error) => void;
}

class Connection implements RawConnection {
  readonly socket: Socket;
  readonly #host: string;
  /** Responses that have not begun, in the order of their requests. */
  readonly #waiting: Waiting[] = [];
  #current: RawResponse | undefined;

  constructor(socket: Socket, host: string) {
    this.socket = socket;
    this.#host = host;
    socket.on("data", (bytes: Buffer) => this.#onData(bytes));
    // `close` follows and tells.
    socket.on("error", () => undefined);
    socket.on("end", () => this.#onEnd());
    socket.on("close", () => this.#onEnd());
  }

  async request(path: string, options: RawRequestOptions = {}): Promise<RawResponse> {
    assertOptions("options", options, NAMES);
    const { method = "GET", headers = {}, body, httpVersion = "1.1" } = options;
    const lines = [`${method} ${path} HTTP/${httpVersion}`, `Host: ${this.#host}`];
    for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
    if (body !== undefined) lines.push(`Content-Length: ${Buffer.byteLength(body)}`);
    // Headers are byte strings: what is beyond ASCII in them has been encoded by who gave it.
    this.socket.write(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
    if (body !== undefined) this.socket.write(body);
    const response = new RawResponse(this.socket, method);
    return new Promise((begun, failed) => {
      this.#waiting.push({ response, begun, failed });
    });
  }

  #onData(bytes: Buffer): void {
    let rest = bytes;
    while (rest.length > 0) {
      this.#current ??= this.#waiting[0]?.response;
      const response = this.#current;
      if (response === undefined) {
        this.socket.destroy(new Error("The server sent bytes that no request has asked for."));
        return;
      }
      rest = response.take(rest);
      if (response.begun && this.#waiting[0]?.response === response) this.#waiting.shift()?.begun(response);
      if (response.end !== undefined) this.#current = undefined;
    }
  }

  #onEnd(): void {
    this.#current?.cut();
    for (const { failed } of this.#waiting.splice(0)) {
      failed(new EverstreamError("NETWORK", "The server closed the connection before it answered."));
    }
  }
}
