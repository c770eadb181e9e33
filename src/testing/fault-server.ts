import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { invalidOption } from "../errors.ts";
import { assertOptions, type NamesOf } from "../input.ts";
import { EVENT_STREAM_TYPE } from "../protocol/index.ts";
import { serveForTest, type TestServer } from "./serve.ts";

/** One answer, and what is wrong with it. */
export interface Fault {
  /** Default 200. */
  status?: number;
  /** Besides `Content-Type: text/event-stream`, or in its place. */
  headers?: Readonly<Record<string, string>>;
  /** Text or bytes of the body. Default: none. */
  body?: string | Uint8Array;
  /** Sends so many bytes of the body and no more; where that is inside of a character, it is cut. Default: all. */
  bytes?: number;
  /** What follows the bytes: a good end (default), an end of the connection, a reset, or silence on an open one. */
  ending?: "end" | "cut" | "reset" | "stall";
  /** How long the head of the answer is held back, in milliseconds; Infinity for ever. */
  delay?: number;
}

/** A request that was made of a {@link faultServer}, with its body. */
export interface FaultyRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
  /** Resolves when it has its whole answer, or its connection is gone. */
  readonly over: Promise<void>;
}

/** An answer, or what gives it: a server that knows about cursors answers by the request. */
export type FaultyAnswer = Fault | ((request: FaultyRequest) => Fault);

/** A server that misbehaves by script. */
export interface FaultServer extends TestServer {
  /** All requests up to now, but for preflights. */
  readonly requests: readonly FaultyRequest[];
}

const FAULT_NAMES: NamesOf<Fault> = {
  status: true,
  headers: true,
  body: true,
  bytes: true,
  ending: true,
  delay: true,
};

/**
 * Serves the answers one after the other, one for each request, and the last of them from then on. Pages of every
 * origin may use it.
 *
 * What was sent before a cut or a reset need not arrive: browsers drop what they have not handed to the page when they
 * learn that the connection is lost. Where the next answer depends on what the client has, give a function that looks
 * at the request's cursor.
 *
 * ```ts
 * const server = await faultServer([
 *   { body: "id: 1\ndata: a\n\n", bytes: 10, ending: "reset" },
 *   { status: 503, headers: { "Retry-After": "1" } },
 *   { body: "id: 1\ndata: a\n\n", ending: "stall" },
 * ]);
 * ```
 *
 * @throws EverstreamError (as a rejection) `INVALID_OPTION` for the answers.
 */
export async function faultServer(answers: readonly [FaultyAnswer, ...FaultyAnswer[]]): Promise<FaultServer> {
  if (!Array.isArray(answers) || answers.length === 0)
    throw invalidOption("`answers` must be an array of at least one answer.");
  for (const fault of answers) if (typeof fault !== "function") assertOptions("answers", fault, FAULT_NAMES);
  const requests: FaultyRequest[] = [];
  const server = createServer((request, response) => {
    response.setHeader("Access-Control-Allow-Origin", request.headers.origin ?? "*");
    response.setHeader("Access-Control-Allow-Credentials", "true");
    response.setHeader(
      "Access-Control-Allow-Headers",
      request.headers["access-control-request-headers"] ?? "*",
    );
    if (request.method === "OPTIONS") {
      response.writeHead(204).end();
      return;
    }
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method = "", url = "", headers } = request;
      const over = new Promise<void>((resolve) => response.once("close", resolve));
      const made: FaultyRequest = { method, url, headers, body: Buffer.concat(chunks).toString(), over };
      const next = answers[Math.min(requests.length, answers.length - 1)] as FaultyAnswer;
      requests.push(made);
      const fault = typeof next === "function" ? next(made) : next;
      delayed(fault.delay ?? 0, response, () => answer(fault, response));
    });
  });
  return Object.assign(await serveForTest(server), { requests });
}

function delayed(ms: number, response: ServerResponse, task: () => void): void {
  if (ms === 0) task();
  if (ms === 0 || ms === Number.POSITIVE_INFINITY) return;
  const timer = setTimeout(task, ms);
  response.on("close", () => clearTimeout(timer));
}

function answer(
  { status = 200, headers, body = "", bytes, ending = "end" }: Fault,
  response: ServerResponse,
): void {
  const head = { "Content-Type": EVENT_STREAM_TYPE, ...headers };
  response.setHeader("Access-Control-Expose-Headers", Object.keys(head).join(", "));
  response.writeHead(status, head);
  response.flushHeaders();
  const sent = Buffer.from(body).subarray(0, bytes);
  if (ending === "end") response.end(sent);
  // What was written leaves first; a reset at once would take it back.
  else response.write(sent.length > 0 ? sent : "", () => finish(ending, response));
}

function finish(ending: "cut" | "reset" | "stall", { socket }: ServerResponse): void {
  if (ending === "cut") socket?.destroySoon();
  else if (ending === "reset") setImmediate(() => socket?.resetAndDestroy());
}
