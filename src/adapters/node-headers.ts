import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { assertObject } from "../input.ts";
import { LAST_EVENT_ID_HEADER } from "../protocol/index.ts";

const CURSOR = /* @__PURE__ */ LAST_EVENT_ID_HEADER.toLowerCase();

const NO_FIELDS = /* @__PURE__ */ Object.freeze({});

/** A request of `node:http` or `node:http2`; Express' is one, Fastify's has one as `request.raw`. */
export type NodeRequest = IncomingMessage | Http2ServerRequest;

/** What can be chosen where the server is Node's. */
export interface NodeStreamOptions {
  /**
   * Forgets the request's header fields once the stream is open: a browser's fill more than 1 kB of memory for as long
   * as it is. Who reads them later finds none, loggers that write their line when the response ends among them. HTTP/2's stay;
   * under Hono, so do those of a response that does not take the straight way to Node's. Default: `false`.
   */
  freeRequestHeaders?: boolean;
}

/** Parts the options of a stream from those that a hub does not know. @throws EverstreamError `INVALID_OPTION`. */
export function splitOptions<O extends object>(
  options: O & NodeStreamOptions,
): { readonly hubs: O; readonly own: NodeStreamOptions } {
  assertObject("options", options);
  if (!("freeRequestHeaders" in options)) return { hubs: options, own: {} };
  const { freeRequestHeaders = false, ...hubs } = options;
  return { hubs: hubs as unknown as O, own: { freeRequestHeaders } };
}

/**
 * A header's value.
 *
 * Node makes `req.headers` when it is first read, and keeps it. It is read for what middleware may have put there, an
 * authenticated user's name; the cursor, which every opening asks for, is looked up in what came in.
 */
export function headerOf(req: NodeRequest, name: string): string | undefined {
  const key = name.toLowerCase();
  // Requests that were made by hand have `headers` alone.
  if (key === CURSOR && req.rawHeaders.length > 0) return rawHeaderOf(req, key);
  const value = req.headers[key];
  return Array.isArray(value) ? value[0] : value;
}

/** Repeated fields are joined, as Node does. */
function rawHeaderOf({ rawHeaders }: NodeRequest, wanted: string): string | undefined {
  let found: string | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string;
    if (name.length !== wanted.length || name.toLowerCase() !== wanted) continue;
    const value = rawHeaders[index + 1] as string;
    found = found === undefined ? value : `${found}, ${value}`;
  }
  return found;
}

/** Lets go of a request's header fields, by its public properties; Node itself reads them no more. */
export function freeHeaders(req: NodeRequest): void {
  // HTTP/2's can't be replaced.
  if (!("headersDistinct" in req)) return;
  req.rawHeaders = [];
  req.headers = {};
  // Node would make it of `rawHeaders` when it is first read, by a length that it remembers.
  req.headersDistinct = NO_FIELDS;
}
