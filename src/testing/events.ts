import { EverstreamError } from "../errors.ts";
import { createParser, type ParsedEvent } from "../protocol/index.ts";
import { within } from "./within.ts";

/** Where events are read from: a response, or its body. */
export type EventsSource = Response | ReadableStream<Uint8Array>;

/** What is wanted of a stream beside its events. */
export interface ReadOptions {
  /** The text of each comment. */
  onComment?: (comment: string) => void;
  /** Each reconnection time that the stream asks for, in milliseconds. */
  onRetry?: (ms: number) => void;
  /** Each last event ID that came without an event. */
  onId?: (id: string) => void;
}

/** When {@link collectEvents} has enough. Without `count` and `until` it reads to the stream's end. */
export interface CollectOptions extends ReadOptions {
  /** This many events are enough. */
  count?: number;
  /** The event for which this returns `true` is the last. */
  until?: (event: ParsedEvent) => boolean;
  /** Rejects after so many milliseconds. Default: 4,000, less than test runners allow. */
  timeout?: number;
}

/**
 * The events of a response, as they arrive. Leaving the loop cancels the body, which the server sees as a client that
 * left.
 *
 * ```ts
 * for await (const event of eventsOf(await app.request("/events"))) { … }
 * ```
 *
 * @throws EverstreamError `EVENT_TOO_LARGE`, as the parser does; whatever the body fails with.
 */
export async function* eventsOf(
  source: EventsSource,
  options?: ReadOptions,
): AsyncGenerator<ParsedEvent, void> {
  const reader = readerOf(source);
  try {
    for await (const events of batches(reader, options)) yield* events;
  } finally {
    void cancel(reader);
  }
}

/**
 * Reads events until there are enough, and cancels the body then.
 *
 * @throws EverstreamError `TIMEOUT`, with the events that did arrive in its message; `EVENT_TOO_LARGE`; whatever the body
 *   fails with.
 */
export async function collectEvents(
  source: EventsSource,
  options: CollectOptions = {},
): Promise<ParsedEvent[]> {
  const { count = Number.POSITIVE_INFINITY, until } = options;
  const events: ParsedEvent[] = [];
  const reader = readerOf(source);
  const collect = async (): Promise<void> => {
    if (count <= 0) return;
    for await (const batch of batches(reader, options)) {
      for (const event of batch) {
        events.push(event);
        if (events.length >= count || until?.(event) === true) return;
      }
    }
  };
  try {
    await within(options.timeout, collect(), () => `these events had arrived: ${JSON.stringify(events)}`);
  } finally {
    void cancel(reader);
  }
  return events;
}

type Reader = ReadableStreamDefaultReader<Uint8Array>;

function readerOf(source: EventsSource): Reader {
  if (source instanceof ReadableStream) return source.getReader();
  if (source.body !== null) return source.body.getReader();
  throw new EverstreamError(
    "INVALID_OPTION",
    `The response (status ${source.status}) has no body to read events from.`,
  );
}

/** The events of each chunk together. */
async function* batches(reader: Reader, options?: ReadOptions): AsyncGenerator<ParsedEvent[], void> {
  let batch: ParsedEvent[] = [];
  const parser = createParser({ ...options, onEvent: (event) => batch.push(event) });
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parser.push(part.value);
    yield batch;
    batch = [];
  }
}

async function cancel(reader: Reader): Promise<void> {
  try {
    await reader.cancel();
  } catch {
    // A body that has failed can't be cancelled any more; who reads has been told.
  }
}
