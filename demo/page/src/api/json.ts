/** How long it is waited before each further try. Together as long as a server takes to be started anew. */
const WAITS_MS = [250, 500, 1000, 2000, 4000];
/** Statuses of a server that is gone, or closing, which a balancer answers for it too. */
const AWAY: ReadonlySet<number> = new Set([502, 503, 504]);

/** The server could not be reached, or says that it can't answer now. */
export class AwayError extends Error {
  override readonly name = "AwayError";
}

/** Posts JSON and takes JSON. Resolves to the answer; rejects with what went wrong, for people to read. */
export async function postJson(url: string, body: unknown, signal?: AbortSignal): Promise<unknown> {
  const headers = { "content-type": "application/json", accept: "application/json" };
  const init = { method: "POST", headers, body: JSON.stringify(body), ...(signal && { signal }) };
  const response = await fetch(url, init).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw new AwayError("The server can't be reached.", { cause: error });
  });
  const answer: unknown = await response.json().catch(() => undefined);
  if (response.ok) return answer;
  const { error } = Object(answer) as { error?: unknown };
  const message = typeof error === "string" ? error : `The server answered ${response.status}.`;
  throw AWAY.has(response.status) ? new AwayError(message) : new Error(message);
}

/**
 * Posts JSON that the server takes once, however often it comes: again for some seconds while the server is away, of which
 * `onAway` is told. Whether the question was lost on its way, or the answer, nobody has to know.
 */
export async function postOnce(
  url: string,
  body: unknown,
  onAway?: (error: AwayError) => void,
): Promise<unknown> {
  for (const wait of WAITS_MS) {
    try {
      return await postJson(url, body);
    } catch (error) {
      if (!(error instanceof AwayError)) throw error;
      onAway?.(new AwayError(`${error.message} Trying again …`));
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
  return postJson(url, body);
}
