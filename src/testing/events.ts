import { invalidOption } from "../errors.ts";
import { assertOptions, hasMethod, type NamesOf } from "../input.ts";
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

const READ_NAMES: NamesOf<ReadOptions> = { onComment: true, onRetry: true, onId: true };
const COLLECT_NAMES: NamesOf<CollectOptions> = { count: true, until: true, timeout: true, ...READ_NAMES };

/**
 * The events of a response, as they arrive. Leaving the loop cancels the body, which the server sees as a client that
 * left.
 *
 * ```ts
 * for await (const event of eventsOf(await app.request("/events"))) { … }
 * ```
 *
 * @throws EverstreamError `INVALID_OPTION`; `EVENT_TOO_LARGE`, as the parser does; whatever the body fails with.
 */
export async function* eventsOf(
  source: EventsSource,
  options: ReadOptions = {},
): AsyncGenerator<ParsedEvent, void> {
  assertOptions("options", options, READ_NAMES);
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
 * @throws EverstreamError `INVALID_OPTION`; `TIMEOUT`, with the events that did arrive in its message; `EVENT_TOO_LARGE`; whatever the body
 *   fails with.
 */
export async function collectEvents(
  source: EventsSource,
  options: CollectOptions = {},
): Promise<ParsedEvent[]> {
  assertOptions("options", options, COLLECT_NAMES);
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
  const { body, status } = Object(source) as Partial<Response>;
  if (hasMethod(body, "getReader")) return (body as ReadableStream<Uint8Array>).getReader();
  throw status === undefined
    ? invalidOption(
        "Events are read from a Response, or from its body; is it a promise that was not awaited?",
      )
    : invalidOption(`The response (status ${status}) has no body to read events from.`);
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
