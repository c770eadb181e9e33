// What adapters are called with, looked at before anything is done: those of another kind of server are the usual slip.
import { invalidOption } from "../errors.ts";

/** @throws EverstreamError `INVALID_OPTION`: no hub. */
export function assertHub(hub: unknown): void {
  if (has(hub, "open")) return;
  throw invalidOption("`hub` must be a hub, as `createHub()` makes one; the options come after it.");
}

/** @throws EverstreamError `INVALID_OPTION`: no runs. */
export function assertRuns(runs: unknown): void {
  if (has(runs, "open")) return;
  throw invalidOption("`runs` must be what `createRuns()` makes; what follows comes after it.");
}

/** @throws EverstreamError `INVALID_OPTION`: no context of Hono's. */
export function assertContext(c: unknown): void {
  if (has(c, "newResponse")) return;
  throw invalidOption(
    "`c` must be Hono's context. For node:http, Express and Fastify there is `everstream/node`, for other Fetch servers `everstream`.",
  );
}

/** @throws EverstreamError `INVALID_OPTION`: no response of Node's. */
export function assertNodeResponse(res: unknown): void {
  if (has(res, "writeHead")) return;
  throw invalidOption(
    "`res` must be the response of a Node server, after its request: `(req, res, …)`. With Fastify these are `request.raw` and `reply.raw`; for Hono there is `everstream/hono`, for Fetch servers `everstream`.",
  );
}

function has(value: unknown, method: string): boolean {
  return typeof (value as Record<string, unknown> | null | undefined)?.[method] === "function";
}
