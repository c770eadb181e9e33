/** How many bytes of a file {@link detectType} wants to see. */
export const HEAD_BYTES = 16;

interface Signature {
  readonly type: string;
  /** The bytes that files of this type begin with; `undefined` stands for any byte. */
  readonly bytes: readonly (number | undefined)[];
}

const ascii = (text: string): number[] => [...Buffer.from(text, "latin1")];
const any = (count: number): undefined[] => Array.from({ length: count }, () => undefined);

/** From the formats' own specifications. */
const SIGNATURES: readonly Signature[] = [
  { type: "image/png", bytes: [0x89, ...ascii("PNG\r\n"), 0x1a, 0x0a] },
  { type: "image/jpeg", bytes: [0xff, 0xd8, 0xff] },
  { type: "image/gif", bytes: ascii("GIF8") },
  { type: "image/webp", bytes: [...ascii("RIFF"), ...any(4), ...ascii("WEBP")] },
  { type: "audio/wav", bytes: [...ascii("RIFF"), ...any(4), ...ascii("WAVE")] },
  { type: "application/pdf", bytes: ascii("%PDF-") },
  { type: "application/zip", bytes: [...ascii("PK"), 0x03, 0x04] },
  { type: "application/gzip", bytes: [0x1f, 0x8b] },
  { type: "video/mp4", bytes: [...any(4), ...ascii("ftyp")] },
];

/** The media type that a file's first bytes show, where they show one. */
export function detectType(head: Uint8Array): string | undefined {
  return SIGNATURES.find(({ bytes }) => bytes.every((byte, at) => byte === undefined || byte === head[at]))
    ?.type;
}

/** Types of which a file must begin with its signature, and no other. */
const STRICT: ReadonlySet<string> = new Set([
  "image/png",
  "image/jpeg",
  "image/gif",
  "image/webp",
  "application/pdf",
  "application/gzip",
]);

/**
 * How a file's content contradicts the type it was sent with, as a sentence; `undefined` where it does not. Types that
 * are not known here are taken at their word.
 *
 * @param zeros Whether the file holds a byte 0, which no text does.
 */
export function contradiction(
  declared: string,
  detected: string | undefined,
  zeros: boolean,
): string | undefined {
  if (STRICT.has(declared) && detected !== declared) {
    return `The file was sent as ${declared}, but its content is ${detected ?? "something else"}.`;
  }
  if (declared.startsWith("text/") && zeros) return `The file was sent as ${declared}, but it is not text.`;
  return undefined;
}
