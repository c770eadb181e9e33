/**
 * `Retry-After` in milliseconds from `now`: seconds or an HTTP date (RFC 9110, 10.2.3); `undefined` where it is
 * neither, or over. A cross-origin server must expose it (`Access-Control-Expose-Headers`).
 */
export function parseRetryAfter(value: string | null, now: number): number | undefined {
  if (value === null || value === "") return undefined;
  const seconds = Number(value);
  const ms = Number.isNaN(seconds) ? Date.parse(value) - now : seconds * 1000;
  return ms >= 0 ? ms : undefined;
}
