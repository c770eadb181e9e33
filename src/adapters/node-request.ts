import type { ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { invalidOption } from "../errors.ts";
import type { NodeResponse } from "../session/node-sink.ts";
import type { NodeRequest } from "./node-headers.ts";

/** Methods that Fetch knows no request of (its section 2.2.1), but Node's servers do. */
const NO_METHODS_OF_FETCH: ReadonlySet<string> = new Set(["CONNECT", "TRACE", "TRACK"]);

/** A path that is another one to a URL's parser: by dot segments, `\` for `/`, or characters that it drops. */
const READ_OTHERWISE = /(^|\/)(\.|%2e){1,2}(\/|$)|[\\\t\n\r]/i;
/** No host, or what ends one, so that the rest would be read as something else. */
const NOT_OF_A_HOST = /^$|[/?#@\\]/;

/**
 * A Node request as code for Fetch servers reads it: method, URL, headers and body. `undefined` for one that is none to
 * Fetch, although Node lets it through: by its method or its host (`[`, `user@name`). And for one whose path Fetch would
 * read as another than is written there: whatever stands before this, and guards a path, goes by the text.
 */
export function requestOf(req: NodeRequest): Request | undefined {
  const headers = new Headers();
  for (const [name, value] of Object.entries(req.headers)) {
    // HTTP/2 has the method and its like among the headers.
    if (name.startsWith(":")) continue;
    for (const one of [value ?? []].flat()) headers.append(name, one);
  }
  const host = headers.get("host") ?? String(req.headers[":authority"] ?? "localhost");
  const { method = "GET" } = req;
  // Express cuts off of `url` what a router is mounted at.
  const { originalUrl = req.url ?? "/", body } = req as { originalUrl?: string; body?: unknown };
  const url = urlOf(originalUrl, host);
  if (url === undefined || NO_METHODS_OF_FETCH.has(method.toUpperCase())) return undefined;
  const init: RequestInit & { duplex?: "half" } = { method, headers };
  if (method !== "GET" && method !== "HEAD") {
    if (body === undefined) {
      init.body =
        Readable.isDisturbed(req) || req.destroyed ? lostBody() : (Readable.toWeb(req) as ReadableStream);
      init.duplex = "half";
    } else {
      // Middleware has read it already.
      const isRaw = typeof body === "string" || body instanceof Uint8Array;
      init.body = isRaw ? (body as string | Uint8Array<ArrayBuffer>) : JSON.stringify(body);
    }
  }
  return new Request(url, init);
}

/** The URL of what was asked for: a path, or all of it, as proxies are asked (RFC 9112, 3.2). */
function urlOf(target: string, host: string): URL | undefined {
  const [before = ""] = target.split(/[?#]/, 1);
  if (READ_OTHERWISE.test(before) || NOT_OF_A_HOST.test(host)) return undefined;
  // Joined and not resolved: in `//name/runs` a parser finds a host.
  const text = target.startsWith("/") ? `http://${host}${target}` : target;
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  // Fetch refuses them.
  return url.username === "" && url.password === "" ? url : undefined;
}

/** Of a body that other code has read, nothing would ever come. Who reads it is told so; who doesn't, needs none. */
function lostBody(): ReadableStream {
  return new ReadableStream({
    pull(controller) {
      controller.error(
        invalidOption(
          "Other code has read this request's body and left nothing of it in `req.body`. Put it there: with Fastify, `routes(Object.assign(request.raw, { body: request.body }), reply.raw)`.",
        ),
      );
    },
  });
}

/** Sends a Fetch response whole. */
export async function sendResponse(res: NodeResponse, response: Response): Promise<void> {
  res.statusCode = response.status;
  response.headers.forEach((value, name) => {
    res.setHeader(name, value);
  });
  if (response.body === null) {
    res.end();
    return;
  }
  const body = Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0]);
  await pipeline(body, res as ServerResponse);
}
