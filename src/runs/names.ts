/**
 * What runs write to the log, all of it. A run has one topic, `<namespace>:<id>`:
 *
 * - `run`, the first event, and again whenever another process takes the run over: `{ id, state: "running" }`. Its meta
 *   hold what only servers see, {@link StartNote}.
 * - `token`, `progress` and whatever the producer sends. Each write is conditional on the one before it (`expectLast`),
 *   so that the first write of anybody else ends a producer's right to write: this is the fence.
 * - `done` or `error`, the last event, in one append with the topic's finish mark. Its meta tell the state.
 *
 * What servers tell each other about all runs is in one further topic, `<namespace>:`, the control topic; see registry.ts.
 */
import type { HubEvent, Retention } from "../hub/index.ts";
import { DONE_EVENT, ERROR_EVENT, type ErrorData } from "../protocol/index.ts";
import type { RunsSettings } from "./options.ts";
import type { RunInfo, RunState } from "./types.ts";

/** The type of the event that begins a run's topic. */
export const RUN_EVENT = "run";
/** The name under which an event's meta hold this package's notes, as JSON. */
const NOTE = "run";
/** The name under which they hold the position of the run's latest progress before. */
export const PROGRESS_NOTE = "progress";

/** What is noted with a run's first event. */
export interface StartNote {
  readonly key?: string | undefined;
  readonly input?: unknown;
  readonly stopAfterMs?: number | undefined;
  /** The names of the steps and their shares of the whole, in their order, for whoever takes the run over. */
  readonly steps?: readonly (readonly [name: string, share: number])[] | undefined;
}

interface EndNote {
  readonly state: RunState;
}

export interface Names {
  readonly control: string;
  topicOf(id: string): string;
}

export function namesIn(namespace: string): Names {
  return { control: `${namespace}:`, topicOf: (id) => `${namespace}:${id}` };
}

export function noteOf(note: StartNote | EndNote): Record<string, string> {
  return { [NOTE]: JSON.stringify(note) };
}

/** How a run ends: what clients are told, and what is noted. */
export interface Ending {
  readonly state: Exclude<RunState, "running">;
  readonly error?: ErrorData;
  readonly result?: Readonly<Record<string, unknown>>;
}

export const STOPPED: Ending = {
  state: "stopped",
  error: { code: "stopped", message: "This was stopped." },
};
export const ABANDONED: Ending = {
  state: "abandoned",
  error: { code: "abandoned", message: "The server that worked on this is gone." },
};
export const TIMEOUT: Ending = {
  state: "error",
  error: { code: "timeout", message: "This took too long." },
};
export const TOO_LARGE: Ending = {
  state: "error",
  error: { code: "too_large", message: "This became too long." },
};

/** The event that ends a run, to be published with the finish mark. */
export function endingEvent({ state, error, result }: Ending): {
  type: string;
  data: unknown;
  meta: Record<string, string>;
} {
  const meta = noteOf({ state });
  return error === undefined
    ? { type: DONE_EVENT, data: result ?? {}, meta }
    : { type: ERROR_EVENT, data: error, meta };
}

/** What a run's first and, if it is over, last event say of it; `undefined` where the first is no run's beginning. */
export function infoOf(id: string, first: HubEvent | undefined, last?: HubEvent): RunInfo | undefined {
  const start = first?.type === RUN_EVENT ? readNote<StartNote>(first) : undefined;
  if (first === undefined || start === undefined) return undefined;
  const end = last && readNote<EndNote>(last);
  return {
    id,
    key: start.key,
    input: start.input,
    startedAt: first.time,
    state: end?.state ?? (last === undefined ? "running" : "abandoned"),
    endedAt: last?.time,
    error: last?.type === ERROR_EVENT ? (last.data as ErrorData) : undefined,
    result: last?.type === DONE_EVENT ? (last.data as Record<string, unknown>) : undefined,
  };
}

/** What a start noted. */
export function startNoteOf(first: HubEvent): StartNote {
  return readNote<StartNote>(first) ?? {};
}

function readNote<Note>(event: HubEvent): Note | undefined {
  const note = event.meta[NOTE];
  return note === undefined ? undefined : (JSON.parse(note) as Note);
}

/**
 * How long a run's events are kept: all until `keepFor` after the end. Ages count from each event's own time, so that
 * the age allowed is the run's, too; the first event goes first, and a run without it is gone.
 */
export function retentionFor({ keepForMs }: RunsSettings, ageMs: number): Retention {
  return {
    maxEvents: Number.POSITIVE_INFINITY,
    maxBytes: Number.POSITIVE_INFINITY,
    maxAge: keepForMs + Math.max(ageMs, 0),
  };
}
