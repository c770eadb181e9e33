/** What the routes of runs answer, and how their refusals are worded. */
import { type EverstreamErrorCode, isEverstreamError } from "../errors.ts";
import { MASKED_ERROR } from "../protocol/index.ts";
import { report } from "../session/report.ts";
import { forbidden, type RunOpening, type RunRefusal } from "./join.ts";
import type { RunInfo } from "./types.ts";

/** What a request comes to, for adapters that send streams in their own way. */
export type RunAnswer =
  | { readonly kind: "response"; readonly response: Response }
  | Extract<RunOpening, { kind: "stream" }>;

/** What an answer of the developer's comes to; anything but `true` refuses. */
export function refusalOf(answer: boolean | Response): RunAnswer | undefined {
  if (answer instanceof Response) return { kind: "response", response: answer };
  return answer === true ? undefined : response(forbidden());
}

/** What clients may know of a run; its input and key are the server's. */
export function stateOf({ id, state, startedAt, endedAt, error, result }: RunInfo): Record<string, unknown> {
  return { id, state, startedAt, endedAt, error, result };
}

export function failure(error: unknown): RunAnswer {
  if (isEverstreamError(error)) {
    const { code } = error;
    const [status, words] = TOLD[code] ?? [];
    if (status !== undefined) {
      if (code === "LOG_FAILED") report("A run's request failed", error);
      return json(status, { error: words ?? error.message, code }, status === 503 ? RETRY_AFTER : undefined);
    }
  }
  report("A run's request failed", error);
  return json(500, { error: MASKED_ERROR.message, code: MASKED_ERROR.code });
}

const AWAY = "Nothing can be done with runs here at the moment; try again.";

/** What clients are told, where the error's own words name what is the server's: its log's address, or a run's key. */
const TOLD: Readonly<Partial<Record<EverstreamErrorCode, readonly [status: number, words?: string]>>> = {
  RUN_BUSY: [409, "Another run has this one's place; stop it, or try again once it has ended."],
  UNKNOWN_RUN: [404],
  RUN_EXPIRED: [410],
  HUB_CLOSED: [503, AWAY],
  LOG_CLOSED: [503, AWAY],
  LOG_FAILED: [503, AWAY],
};

/** Seconds after which a client may try again, with another server or what stands in this one's place. */
const RETRY_AFTER = { "Retry-After": "2" };

/** A start has been granted and is not in the log: nobody can say yet who may know of it. */
export function notYet(id: string): RunAnswer {
  const error = `The run ${JSON.stringify(id)} is being started; try again.`;
  return json(503, { error, code: "RUN_STARTING" }, RETRY_AFTER);
}

export function noId(what: string): RunAnswer {
  const error = `${what} can't be a run's id, which is 1 to 128 printable characters of ASCII.`;
  return json(400, { error, code: "INVALID_OPTION" });
}

export function notAllowed(allowed: string): RunAnswer {
  return json(
    405,
    { error: `Only ${allowed} can be done here.`, code: "METHOD_NOT_ALLOWED" },
    { Allow: allowed },
  );
}

export function json(status: number, body: unknown, headers?: Record<string, string>): RunAnswer {
  return { kind: "response", response: Response.json(body, { status, ...(headers && { headers }) }) };
}

export function response({ status, headers, body }: RunRefusal): RunAnswer {
  return { kind: "response", response: new Response(body, { status, headers }) };
}
