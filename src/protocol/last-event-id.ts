// Servers and proxies refuse a header line at 8 to 16 kB together with all the others. A cursor over this bound would
// get an answer that is no stream, at every attempt.
const MAX_HEADER_ID_BYTES = 4096;

// What a header's value may hold for every fetch: undici refuses all control characters but TAB, not only NUL, CR
// and LF. Surrogates here are lone ones, which UTF-8 can't carry.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this looks for.
const UNFIT_FOR_HEADER = /[\0-\x08\n-\x1f\x7f\ud800-\udfff]|^[\t ]|[\t ]$|^$/u;

// Their fetch encodes the value as UTF-8 itself and would do so a second time: workerd's, and WebKit's, where `Headers`
// still refuse what is beyond U+00FF.
const ENCODES_ITSELF = /^Cloudflare|(Apple(?!.*Chrom))/;
const BEYOND_LATIN_1 = /[^\0-\xff]/;

const encoder = /* @__PURE__ */ new TextEncoder();
const decoder = /* @__PURE__ */ new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * The cursor in a request's `Last-Event-ID` header. Clients send UTF-8 (HTML 9.2.4), but `Headers` and Node hand out
 * one character for each byte; this joins them again. A value that can't be such a byte string, or is no UTF-8, was
 * decoded by the runtime already and stays as it is.
 *
 * @param value What `headers.get("last-event-id")` gave.
 * @returns The id, or `undefined` where the request has no cursor.
 */
export function readLastEventId(value: string | null | undefined): string | undefined {
  if (value === null || value === undefined || value === "") return undefined;
  let ascii = true;
  const bytes = new Uint8Array(value.length);
  for (let index = 0; index < value.length; index++) {
    const code = value.charCodeAt(index);
    if (code > 0xff) return value;
    if (code > 0x7f) ascii = false;
    bytes[index] = code;
  }
  if (ascii) return value;
  try {
    return decoder.decode(bytes);
  } catch {
    return value;
  }
}

/**
 * The value for a `Last-Event-ID` header that stands for `id`, a byte string as `Headers` wants it: UTF-8, one
 * character for each byte.
 *
 * @returns `undefined` where no header can carry the id: it is empty, begins or ends with a space or TAB (`Headers`
 *   trims those), holds another control character or a lone surrogate, or is longer than 4,096 bytes; in WebKit also
 *   where it holds a character beyond U+00FF. Send such a cursor in the query, or none, but do not leave an older one in
 *   its place.
 */
export function encodeLastEventId(id: string): string | undefined {
  // Without an agent it looks at "undefined", which neither is.
  const encodes = ENCODES_ITSELF.exec(globalThis.navigator?.userAgent as string);
  if (UNFIT_FOR_HEADER.test(id) || (encodes?.[1] && BEYOND_LATIN_1.test(id))) return undefined;
  const bytes = encoder.encode(id);
  if (bytes.length > MAX_HEADER_ID_BYTES) return undefined;
  return encodes ? id : String.fromCharCode(...bytes);
}
