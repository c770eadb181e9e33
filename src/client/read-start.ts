/** What of an answer goes into a failure that says why it is no event stream. Loaded where there is one, and only there. */
import type { read } from "./connection.ts";

/** In bytes. */
const MAX_BODY_BYTES = 2048;
/** How long to wait for them. */
const BODY_TIMEOUT_MS = 1000;

/**
 * The first 2 kB of a body, or what of it arrives in time.
 *
 * @param readBody `read`. It is given and not imported: bundlers would split it off into a third file.
 */
export async function readStart(response: Response, readBody: typeof read): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let left = MAX_BODY_BYTES;
  const onBytes = (bytes: Uint8Array): boolean => {
    text += decoder.decode(bytes.subarray(0, left), { stream: true });
    left -= bytes.length;
    return left > 0;
  };
  // One that fails after the status has said what matters is no news.
  await readBody(response, AbortSignal.timeout(BODY_TIMEOUT_MS), onBytes).catch(() => undefined);
  return text;
}
