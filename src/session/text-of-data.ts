import { EverstreamError } from "../errors.ts";

/**
 * The text for an event's data. Strings and promises of strings go as they are; an object with a text form of its own
 * (a rendered element, a `URL`) goes in that form; numbers, arrays and plain objects go as JSON.
 *
 * @throws EverstreamError `NOT_SERIALIZABLE` for what has no form; as a rejection where `data` is a promise.
 */
export function textOfData(data: unknown): string | Promise<string> {
  if (typeof data === "string") return data;
  if (isThenable(data)) return Promise.resolve(data).then(textOfData);
  if (typeof data === "object" && data !== null && hasOwnTextForm(data)) {
    // Elements of JSX render to a string, or to a promise of one.
    return textOfData((data as { toString(): unknown }).toString());
  }
  return jsonOf(data);
}

/**
 * `data` as JSON.
 *
 * @throws EverstreamError `NOT_SERIALIZABLE`.
 */
export function jsonOf(data: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(data);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new EverstreamError("NOT_SERIALIZABLE", `\`data\` has no JSON form: ${why}; send plain data.`, {
      cause,
    });
  }
  if (text !== undefined) return text;
  throw new EverstreamError(
    "NOT_SERIALIZABLE",
    `\`data\` is ${data === undefined ? "undefined" : `a ${typeof data}`}, which JSON has no form for; send text or plain data.`,
  );
}

function isThenable(data: unknown): data is PromiseLike<unknown> {
  return typeof data === "object" && data !== null && typeof (data as { then?: unknown }).then === "function";
}

function hasOwnTextForm(data: object): boolean {
  const { toString: own } = data;
  return typeof own === "function" && own !== Object.prototype.toString && own !== Array.prototype.toString;
}
