import { EverstreamError } from "../errors.ts";

/** The provider, or the way to it, gave up before the answer was complete. */
export function incompleteError(cause?: unknown): EverstreamError {
  const message = "The provider's stream ended before the answer did.";
  return new EverstreamError("NETWORK", message, cause === undefined ? {} : { cause });
}

/** A failure that the provider has told of within its stream. */
export function providerReported(cause: unknown): EverstreamError {
  return new EverstreamError("PROVIDER_FAILED", "The provider failed while it was answering.", { cause });
}

/** Names a value's type, never its content, which may be what a user wrote. */
export function nameOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value;
}

export function unsupported(what: string): EverstreamError {
  return new EverstreamError(
    "UNSUPPORTED_CHUNK",
    `The stream yielded ${what}. Read are strings and the streams of LangChain, OpenAI, Anthropic and the AI SDK; map other chunks to text first.`,
  );
}
