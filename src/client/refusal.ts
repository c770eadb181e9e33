/** What an answer says for itself that is no event stream. Loaded where there is one, and only there. */
import type { EVENT_STREAM_TYPE } from "../protocol/index.ts";
import type { read } from "./connection.ts";
import type { ConnectionFailure } from "./failure.ts";

// The type proves that it is the protocol's. Bundlers would split that off into a third file.
const WANTED = "text/event-stream" satisfies typeof EVENT_STREAM_TYPE;
/** In bytes. */
const MAX_BODY_BYTES = 2048;
/** How long to wait for them. */
const BODY_TIMEOUT_MS = 1000;

/**
 * What is to be added to the failure that says what the answer was.
 *
 * @param readBody `read`. It is given and not imported, for the same reason.
 */
export async function explain(
  response: Response,
  readBody: typeof read,
): Promise<Partial<ConnectionFailure>> {
  const body = await readStart(response, readBody);
  // Chromium takes what it got of a head that was cut off for the whole.
  const isCutOff = response.ok && !body && WANTED.startsWith(response.headers.get("Content-Type") ?? "");
  return isCutOff ? { code: "NETWORK", message: "The answer was cut off.", status: undefined } : { body };
}

/** The first 2 kB of a body, or what of it arrives in time. */
async function readStart(response: Response, readBody: typeof read): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let left = MAX_BODY_BYTES;
  const onBytes = (bytes: Uint8Array): boolean => {
    text += decoder.decode(bytes.subarray(0, left), { stream: true });
    left -= bytes.length;
    return left <= 0;
  };
  // One that fails after the status has said what matters is no news.
  await readBody(response, AbortSignal.timeout(BODY_TIMEOUT_MS), onBytes).catch(() => undefined);
  return text;
}
