import type { StreamEvent } from "everstream/client";
import { noteNode } from "./served-by.ts";

/** One thing that was seen on the wire: a request and its answer, or a block of the stream, as it came. */
export interface WireEntry {
  readonly key: number;
  readonly kind: "request" | "block";
  readonly text: string;
}

/** The last of what travelled, in the form that `useSyncExternalStore` reads. */
export interface WireLog {
  /** `fetch`, but everything that an event stream brings is noted, too. */
  readonly fetch: typeof fetch;
  /** Notes a block that came another way. */
  add(block: string): void;
  /** Notes an event of a stream that tabs share, where another tab's connection brought it. */
  addShared(url: string, event: Pick<StreamEvent, "type" | "data" | "lastEventId">): void;
  getSnapshot(): readonly WireEntry[];
  subscribe(listener: () => void): () => void;
  clear(): void;
}

/** More would be slow to draw, and nobody scrolls that far. */
const MAX_ENTRIES = 150;

export function createWireLog(): WireLog {
  const listeners = new Set<() => void>();
  let entries: readonly WireEntry[] = [];
  let fresh: WireEntry[] = [];
  let drawing = false;
  let key = 0;

  const publish = (): void => {
    drawing = false;
    entries = [...entries, ...fresh].slice(-MAX_ENTRIES);
    fresh = [];
    for (const listener of listeners) listener();
  };
  const draw = (): void => {
    if (!drawing) requestAnimationFrame(publish);
    drawing = true;
  };
  const note = (kind: WireEntry["kind"], text: string): void => {
    fresh.push({ key: key++, kind, text });
    if (fresh.length > MAX_ENTRIES) fresh.shift();
    draw();
  };

  /** How many connections of our own there are to each URL. */
  const own = new Map<string, number>();
  const readOwn = async (path: string, response: Response): Promise<void> => {
    own.set(path, (own.get(path) ?? 0) + 1);
    await readBlocks(response, (block) => note("block", block));
    own.set(path, (own.get(path) ?? 1) - 1);
  };

  return {
    fetch: async (input, init) => {
      const request = describeRequest(input, init);
      try {
        const response = await fetch(input, init);
        const node = response.headers.get("x-node");
        note("request", `${request} → ${response.status}${node === null ? "" : ` from ${node}`}`);
        noteNode(pathOf(input), response);
        // A second reader beside the client's own: an abort ends both.
        void readOwn(pathOf(input), response.clone());
        return response;
      } catch (error) {
        if (init?.signal?.aborted !== true) note("request", `${request} → no answer`);
        throw error;
      }
    },
    add: (block) => note("block", block),
    addShared: (url, event) => {
      if ((own.get(pathOf(url)) ?? 0) === 0) note("block", formatEvent(event));
    },
    getSnapshot: () => entries,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    clear: () => {
      entries = [];
      fresh = [];
      draw();
    },
  };
}

/** An event as it stood on the wire. */
export function formatEvent({
  type,
  data,
  lastEventId,
}: Pick<StreamEvent, "type" | "data" | "lastEventId">): string {
  return `event: ${type}\nid: ${lastEventId}\ndata: ${data}`;
}

function pathOf(input: RequestInfo | URL): string {
  const { pathname, search } = new URL(input instanceof Request ? input.url : input, location.href);
  return pathname + search;
}

function describeRequest(input: RequestInfo | URL, init: RequestInit | undefined): string {
  const lastEventId = new Headers(init?.headers).get("last-event-id");
  const request = `${init?.method ?? "GET"} ${pathOf(input)}`;
  return lastEventId === null ? request : `${request}\nLast-Event-ID: ${lastEventId}`;
}

/** Cuts the body's text at the blank lines that end each block. */
async function readBlocks({ body, headers }: Response, onBlock: (block: string) => void): Promise<void> {
  if (body === null || headers.get("content-type")?.startsWith("text/event-stream") !== true) return;
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      const blocks = (rest + read.value).split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) if (block !== "") onBlock(block);
    }
  } catch {
    // The connection is gone. The client deals with that; here the log just goes no further.
  }
}
