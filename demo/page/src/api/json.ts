/** Posts JSON and takes JSON. Resolves to the answer; rejects with what went wrong, for people to read. */
export async function postJson(url: string, body: unknown, signal?: AbortSignal): Promise<unknown> {
  const headers = { "content-type": "application/json", accept: "application/json" };
  const init = { method: "POST", headers, body: JSON.stringify(body), ...(signal && { signal }) };
  const response = await fetch(url, init).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw new Error("The server can't be reached.", { cause: error });
  });
  const answer: unknown = await response.json().catch(() => undefined);
  if (response.ok) return answer;
  const { error } = Object(answer) as { error?: unknown };
  throw new Error(typeof error === "string" ? error : `The server answered ${response.status}.`);
}
