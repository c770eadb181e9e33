import { EverstreamError } from "../errors.ts";

const DEFAULT_TIMEOUT_MS = 4000;

/**
 * Settles as `work` does, but not later than the timeout: a test that waits for what never comes should say what it
 * did see.
 *
 * @throws EverstreamError `TIMEOUT`.
 */
export async function within<T>(
  timeoutMs: number | undefined,
  work: Promise<T>,
  seen: () => string,
): Promise<T> {
  const limit = timeoutMs ?? DEFAULT_TIMEOUT_MS;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new EverstreamError("TIMEOUT", `It did not come within ${limit} ms; ${seen()}`));
    }, limit);
  });
  try {
    return await Promise.race([work, expired]);
  } finally {
    clearTimeout(timer);
  }
}
