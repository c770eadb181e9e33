import type { EverstreamError } from "../errors.ts";
import type { InputOf, OutputOf, StandardSchema } from "./standard.ts";

/** A schema of an event whose data is sent as text, not as JSON; made by `asText`. */
export interface TextSchema<Input = string, Output = Input> extends StandardSchema<Input, Output> {
  readonly "~text": true;
}

/** A schema for each event type. */
export type SchemaMap = Readonly<Record<string, StandardSchema>>;

/** What came over the wire, made into data by the schema of its type, or the reason why that can't be. */
export type Reading =
  | { readonly data: unknown; readonly error?: undefined }
  | { readonly error: EverstreamError };

/** An event as a client receives it. */
export interface WireEvent {
  readonly type: string;
  readonly data: string;
  readonly lastEventId: string;
}

/** Takes an event that can't be read: what is wrong, and the event as it came. */
export type InvalidEventListener = (error: EverstreamError, event: WireEvent) => void;

/** The events of an application: their types and their data. Made by `defineEvents`; hub, client and hooks take it. */
export interface EventSchemas<M extends SchemaMap = SchemaMap> {
  /** The schemas by event type. */
  readonly schemas: M;
  /**
   * Reads an event's data from its text on the wire; for consumers other than this package's own, as a browser's
   * `EventSource`. `undefined` where the type is not defined here; a promise where the type's schema gives one. Never
   * throws or rejects: what is wrong is the reading's `error`, with the codes
   *
   * - `INVALID_DATA`: it is no JSON, or not what the schema wants; the issues are the `cause`.
   * - `CALLBACK_FAILED`: the schema itself failed, with the `cause`.
   */
  read(type: string, text: string): Reading | Promise<Reading> | undefined;
  /**
   * What a client reads its events with, one after the other: gives each with its data, or `undefined` where its type
   * is not defined here or its data is not what its schema wants, which `onInvalid` is told. Without `onInvalid` it
   * throws the error of the first such event of each type, for the caller to report, and no more.
   */
  reader(onInvalid?: InvalidEventListener): (event: WireEvent) => ReadEvent | undefined;
}

/** An event whose data was read. */
export interface ReadEvent {
  readonly type: string;
  readonly data: unknown;
  readonly lastEventId: string;
}

/** What may be defined: a definition, or none. */
export type Defined = EventSchemas | undefined;

/** One type's event as it is published. */
export type EventToPublish<T extends string, S extends StandardSchema> = TypeField<T> & DataField<S>;

/** One of the events of a definition as a client reads it. */
export type EventToRead<E extends EventSchemas> =
  E extends EventSchemas<infer M>
    ? {
        [T in keyof M & string]: {
          readonly type: T;
          readonly data: OutputOf<M[T]>;
          readonly lastEventId: string;
        };
      }[keyof M & string]
    : never;

/** Events without a type are messages. */
type TypeField<T extends string> = T extends "message" ? { readonly type?: T } : { readonly type: T };

type DataField<S extends StandardSchema> = S extends TextSchema
  ? { readonly text: InputOf<S>; readonly data?: never }
  : undefined extends InputOf<S>
    ? { readonly data?: InputOf<S>; readonly text?: never }
    : { readonly data: InputOf<S>; readonly text?: never };
