import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

type FetchHandler = (request: Request) => Response | Promise<Response>;

/** Serves a Fetch handler from `node:http`, plainly: its request's signal aborts when the client has left. */
export function fetchListener(fetch: FetchHandler): RequestListener {
  return (incoming, outgoing) => {
    respond(fetch, incoming, outgoing).catch((error: unknown) => {
      // A handler that throws is the test's affair: the client gets to see it.
      if (!outgoing.headersSent) outgoing.writeHead(500).end(String(error));
      else outgoing.destroy();
    });
  };
}

async function respond(
  fetch: FetchHandler,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const response = await fetch(requestOf(incoming, outgoing));
  outgoing.statusCode = response.status;
  outgoing.setHeaders(response.headers);
  outgoing.flushHeaders();
  if (response.body === null || incoming.method === "HEAD") outgoing.end();
  else await pipeline(Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0]), outgoing);
}

function requestOf(incoming: IncomingMessage, outgoing: ServerResponse): Request {
  const { method = "GET", headers, url = "/" } = incoming;
  const left = new AbortController();
  outgoing.on("close", () => {
    if (!outgoing.writableFinished) left.abort();
  });
  const hasBody = method !== "GET" && method !== "HEAD";
  return new Request(new URL(url, `http://${headers.host}`), {
    method,
    headers: Object.entries(headers).flatMap(([name, value]) =>
      [value ?? []].flat().map((one): [string, string] => [name, one]),
    ),
    signal: left.signal,
    ...(hasBody ? { body: Readable.toWeb(incoming) as ReadableStream, duplex: "half" } : {}),
  });
}
