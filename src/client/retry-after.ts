/**
 * `Retry-After` in milliseconds from `now`: seconds or an HTTP date (RFC 9110, 10.2.3); `undefined` where it is
 * neither, or over. A cross-origin server must expose it (`Access-Control-Expose-Headers`).
 */
export function parseRetryAfter(value: string | null, now: number): number | undefined {
  if (!value) return undefined;
  const seconds = Number(value);
  const ms = seconds >= 0 ? seconds * 1000 : Date.parse(value) - now;
  return ms >= 0 ? ms : undefined;
}
