import { invalidOption } from "../errors.ts";

/**
 * Refuses what is no request of Fetch: another server's is the slip that everybody makes once.
 *
 * @throws EverstreamError `INVALID_OPTION`.
 */
export function assertRequest(request: Request): void {
  const { headers, url } = (request ?? {}) as Partial<Request>;
  if (typeof headers?.get === "function" && typeof url === "string") return;
  throw invalidOption(
    "`request` must be a `Request` of Fetch. Under Hono use `everstream/hono`, or give `c.req.raw`; for node:http, Express and Fastify there is `everstream/node`.",
  );
}

/** @throws EverstreamError `INVALID_OPTION`: there is nothing that would write the stream. */
export function assertHandler(callback: unknown): void {
  if (typeof callback === "function") return;
  throw invalidOption("`callback` must be a function, which is given the stream and writes to it.");
}
