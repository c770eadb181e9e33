import { isEverstreamError } from "../errors.ts";
import type { ErrorData } from "../protocol/index.ts";
import { type Fields, fieldsOf, isFields } from "./chunks.ts";

/** What went wrong at a model's provider, by a code of ours. */
export type ProviderFailureCode =
  /** Too many requests, or tokens, for now. */
  | "PROVIDER_RATE_LIMIT"
  /** What was paid for is used up. */
  | "PROVIDER_QUOTA"
  | "PROVIDER_OVERLOADED"
  /** The key is not accepted, or may not do this. */
  | "PROVIDER_AUTH"
  /** Question or answer were held back by a filter. */
  | "PROVIDER_CONTENT_FILTER"
  /** The conversation is too long for the model. */
  | "PROVIDER_CONTEXT_LENGTH"
  /** The connection failed, or the answer broke off. */
  | "PROVIDER_NETWORK"
  /** Anything else that the provider answered. */
  | "PROVIDER_FAILED";

/** A provider's failure as clients may see it: nothing in it is the provider's own wording. */
export interface ProviderFailure extends ErrorData {
  readonly code: ProviderFailureCode;
  readonly message: string;
  /** After how many milliseconds the provider wants to be asked again, where it said so. */
  readonly retryAfterMs?: number;
}

const MESSAGES: Readonly<Record<ProviderFailureCode, string>> = {
  PROVIDER_RATE_LIMIT: "The model is asked too often at the moment. Try again later.",
  PROVIDER_QUOTA: "The model can't be used at the moment.",
  PROVIDER_OVERLOADED: "The model is overloaded. Try again later.",
  PROVIDER_AUTH: "The model's provider refused this server.",
  PROVIDER_CONTENT_FILTER: "The provider's filter held this back.",
  PROVIDER_CONTEXT_LENGTH: "This conversation is too long for the model.",
  PROVIDER_NETWORK: "The connection to the model was lost. Try again.",
  PROVIDER_FAILED: "The model failed to answer. Try again.",
};

/**
 * What an error of a provider's SDK means, fit to be shown to clients; `undefined` for an error that is not a provider's,
 * an abort among them. Read are the errors of OpenAI's and Anthropic's SDKs, of LangChain, of the AI SDK, of `fetch`, and
 * those of {@link chunksOf}.
 */
export function providerFailure(error: unknown): ProviderFailure | undefined {
  const causes = causesOf(error);
  if (causes.some(({ name }) => name === "AbortError" || name === "APIUserAbortError")) return undefined;
  const known = causes.find((cause) => codeOf(cause) !== undefined);
  const told = known ?? causes.find((cause) => isProviders(cause));
  if (told === undefined) return undefined;
  const code = codeOf(told) ?? "PROVIDER_FAILED";
  const retryAfterMs = retryAfterOf(told);
  return { code, message: MESSAGES[code], ...(retryAfterMs !== undefined && { retryAfterMs }) };
}

/** The error, and what it says that it comes from: the AI SDK keeps the last of several attempts in `lastError`. */
function causesOf(error: unknown): Fields[] {
  const causes: Fields[] = [];
  for (let next = error; isFields(next) && !causes.includes(next); next = next.lastError ?? next.cause) {
    causes.push(next);
  }
  return causes;
}

function codeOf(error: Fields): ProviderFailureCode | undefined {
  const status = statusOf(error);
  const names = namesOf(error);
  const said = SAID.find(([pattern]) => names.some((name) => pattern.test(name)))?.[1];
  if (said !== undefined) return said;
  // The AI SDK has the status of an answer, too, that began well and broke off.
  if (status !== undefined && status >= 400) return TOO_LONG.test(wordsOf(error)) ? LENGTH : byStatus(status);
  return isEverstreamError(error, "NETWORK") || isConnectionError(error) ? "PROVIDER_NETWORK" : undefined;
}

const LENGTH = "PROVIDER_CONTEXT_LENGTH";
const TOO_LONG = /context (length|window)|prompt is too long|input is too long|maximum number of tokens/i;

/** What providers call things in their `type` and `code`. */
const SAID: readonly (readonly [RegExp, ProviderFailureCode])[] = [
  [/^context_length_exceeded$|^string_above_max_length$/, LENGTH],
  [/^insufficient_quota$|^billing_|^credit/, "PROVIDER_QUOTA"],
  [/^content_filter$|content_policy|^ResponsibleAIPolicyViolation$|^bio_policy$/, "PROVIDER_CONTENT_FILTER"],
  [/^rate_limit|^tokens$|^requests$/, "PROVIDER_RATE_LIMIT"],
  [/overloaded|^slow_down$/, "PROVIDER_OVERLOADED"],
  [/^authentication_error$|^permission_error$|^invalid_api_key$/, "PROVIDER_AUTH"],
  [/^api_error$|^server_error$|^timeout_error$/, "PROVIDER_FAILED"],
];

function byStatus(status: number): ProviderFailureCode {
  if (status === 401 || status === 403) return "PROVIDER_AUTH";
  if (status === 402) return "PROVIDER_QUOTA";
  if (status === 429) return "PROVIDER_RATE_LIMIT";
  if (status === 503 || status === 529) return "PROVIDER_OVERLOADED";
  return "PROVIDER_FAILED";
}

function statusOf({ status, statusCode }: Fields): number | undefined {
  const found = status ?? statusCode;
  return typeof found === "number" ? found : undefined;
}

/** What the error and the answer's body call it. SDKs keep the body, or its `error`, under `error` or `data`. */
function namesOf(error: Fields): string[] {
  const body = fieldsOf(error.error ?? error.data);
  const inner = fieldsOf(body.error);
  const parts = [error, body, inner];
  return parts.flatMap(({ code, type }) => [code, type].filter((name) => typeof name === "string"));
}

function wordsOf(error: Fields): string {
  return typeof error.message === "string" ? error.message : "";
}

/** Node's, undici's and the SDKs' own words for a connection that failed. */
function isConnectionError({ name, code, message }: Fields): boolean {
  if (
    typeof code === "string" &&
    /^(ECONN|ENOTFOUND|EAI_AGAIN|EPIPE|ETIMEDOUT|EHOST|ENET|UND_ERR_)/.test(code)
  )
    return true;
  if (name === "TimeoutError" || name === "APIConnectionError" || name === "APIConnectionTimeoutError")
    return true;
  return (
    typeof message === "string" &&
    /^(fetch failed|terminated|Connection error\.|Request timed out\.|Cannot connect to API|network error|Premature close)/.test(
      message,
    )
  );
}

/** The SDKs' own errors have these, also where there was no answer; ours is told of within a stream. */
function isProviders(error: Fields): boolean {
  return "requestID" in error || "responseBody" in error || isEverstreamError(error, "PROVIDER_FAILED");
}

function retryAfterOf(error: Fields): number | undefined {
  const header = headerOf(error.headers ?? error.responseHeaders);
  const ms = Number(header("retry-after-ms") ?? Number.NaN);
  if (Number.isFinite(ms)) return Math.max(Math.round(ms), 0);
  const after = header("retry-after");
  if (after === undefined) return undefined;
  const seconds = Number(after);
  const waitMs = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(after) - Date.now();
  return Number.isFinite(waitMs) ? Math.max(Math.round(waitMs), 0) : undefined;
}

function headerOf(headers: unknown): (name: string) => string | undefined {
  if (headers instanceof Headers) return (name) => headers.get(name) ?? undefined;
  const fields = fieldsOf(headers);
  return (name) => (typeof fields[name] === "string" ? fields[name] : undefined);
}
