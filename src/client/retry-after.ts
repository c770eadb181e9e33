/**
 * `Retry-After` in milliseconds from `now`: seconds or an HTTP date (RFC 9110, 10.2.3); `undefined` where it is
 * neither, or over. A cross-origin server must expose it (`Access-Control-Expose-Headers`).
 */
export function parseRetryAfter(value: string | null, now: number): number | undefined {
  const seconds = Number(value);
  const ms = seconds >= 0 ? seconds * 1000 : Date.parse(value as string) - now;
  return value && ms >= 0 ? ms : undefined;
}
