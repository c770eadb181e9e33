import type { Compaction } from "../hub/index.ts";
import type { LogEntry } from "../hub/log.ts";
import { PROGRESS_EVENT, parsePosition, TOKEN_EVENT } from "../protocol/index.ts";
import { contentOf } from "./find.ts";

/** The longest data of one event made of several, in bytes of UTF-8. */
const MAX_BYTES = 32 * 1024;

const encoder = /* @__PURE__ */ new TextEncoder();

/**
 * How a run's past is told to who joins: neighbouring pieces of text as one, up to 32 kB, and of its progress the latest
 * state alone.
 *
 * @param progress The position of the latest progress.
 */
export function compactionFor(progress: string | undefined): Compaction {
  const latest = progress === undefined ? 0 : (parsePosition(progress)?.sequence ?? 0);
  return { key: `run ${latest}`, compact: (entries) => compact(entries, latest) };
}

function compact(entries: readonly LogEntry[], latestProgress: number): LogEntry[] {
  const compacted: LogEntry[] = [];
  let text: JoinedText | undefined;
  const flush = (): void => {
    if (text !== undefined) compacted.push(text.entry());
    text = undefined;
  };
  for (const entry of entries) {
    if (entry.event.type === PROGRESS_EVENT && entry.sequence < latestProgress) continue;
    const content = textOf(entry);
    if (content === undefined) {
      flush();
      compacted.push(entry);
    } else if (text?.takes(entry, content) !== true) {
      flush();
      text = new JoinedText(entry, content);
    }
  }
  flush();
  return compacted;
}

/** Neighbouring pieces of text on their way to becoming one event. */
class JoinedText {
  #last: LogEntry;
  readonly #parts: string[];
  #bytes: number;

  constructor(entry: LogEntry, content: string) {
    this.#last = entry;
    this.#parts = [content];
    this.#bytes = bytesOf(entry);
  }

  takes(entry: LogEntry, content: string): boolean {
    const bytes = this.#bytes + bytesOf(entry);
    if (bytes > MAX_BYTES) return false;
    this.#bytes = bytes;
    this.#last = entry;
    this.#parts.push(content);
    return true;
  }

  entry(): LogEntry {
    if (this.#parts.length === 1) return this.#last;
    const data = JSON.stringify({ content: this.#parts.join("") });
    return { ...this.#last, event: { ...this.#last.event, data } };
  }
}

function textOf({ event: { type, data, json } }: LogEntry): string | undefined {
  return type === TOKEN_EVENT && json ? contentOf(JSON.parse(data)) : undefined;
}

function bytesOf({ event: { data } }: LogEntry): number {
  return encoder.encode(data).length;
}
