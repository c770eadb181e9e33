import { EverstreamError } from "../errors.ts";
import { assertUserEventType } from "../protocol/index.ts";
import { describeIssues, isStandardSchema, type StandardResult, type StandardSchema } from "./standard.ts";
import type {
  EventSchemas,
  InvalidEventListener,
  ReadEvent,
  Reading,
  SchemaMap,
  TextSchema,
  WireEvent,
} from "./types.ts";

/**
 * Defines the events of an application, once for its hub, its clients and its hooks: each type with the schema of its
 * data, of any library that follows Standard Schema (zod, valibot, arktype, …).
 *
 * ```ts
 * export const events = defineEvents({ token: z.object({ content: z.string() }), done: z.undefined() });
 * ```
 *
 * What is published has to be what the schema takes, and travels as JSON as it was given; clients get what the schema
 * makes of that. An event without data is `undefined` to its schema.
 *
 * @throws EverstreamError `INVALID_OPTION`: a type begins with `sse:` or can't be one, or its schema is none.
 */
export function defineEvents<const M extends SchemaMap>(schemas: M): EventSchemas<M> {
  if (typeof schemas !== "object" || schemas === null)
    throw invalid("`defineEvents` takes an object: the events' types, and their schemas.");
  const byType = new Map(Object.entries(schemas));
  for (const [type, schema] of byType) assertDefinition(type, schema);
  // Events of one stream come to several readers, as components: each is read once.
  const readings = new WeakMap<WireEvent, Reading | Promise<Reading> | undefined>();

  const read = (type: string, text: string): Reading | Promise<Reading> | undefined => {
    const schema = byType.get(type);
    return schema && readData(type, schema, text);
  };
  const readOnce = (event: WireEvent): Reading | Promise<Reading> | undefined => {
    if (!readings.has(event)) readings.set(event, read(event.type, event.data));
    return readings.get(event);
  };
  return {
    schemas: { ...schemas },
    read,
    reader:
      (onInvalid = throwOnce()) =>
      (event) =>
        toEvent(event, readOnce(event), onInvalid),
  };
}

/**
 * Marks the schema of an event that is published as `text` and sent as it is, where others are published as `data` and
 * sent as JSON: for lines of text, and for servers that do not send JSON.
 *
 * @throws EverstreamError `INVALID_OPTION` for what is no schema.
 */
export function asText<Input extends string, Output>(
  schema: StandardSchema<Input, Output>,
): TextSchema<Input, Output> {
  if (!isStandardSchema(schema)) throw invalid("`asText` takes a schema that follows Standard Schema 1.");
  return { "~standard": schema["~standard"], "~text": true };
}

/** Whether an event's data is sent as text. */
export function isText(schema: StandardSchema): schema is TextSchema {
  return "~text" in schema;
}

function assertDefinition(type: string, schema: unknown): void {
  try {
    assertUserEventType(type);
  } catch (cause) {
    throw invalid(`No event can have the type ${JSON.stringify(type)}: ${(cause as Error).message}`, cause);
  }
  // On the wire it would be another type.
  if (type === "") throw invalid("An event's type can't be empty; one without a type is a `message`.");
  if (isStandardSchema(schema)) return;
  throw invalid(`What is given for ${JSON.stringify(type)} is no schema that follows Standard Schema 1.`);
}

function readData(type: string, schema: StandardSchema, text: string): Reading | Promise<Reading> {
  let value: unknown = text;
  if (!isText(schema)) {
    try {
      value = text === "" ? undefined : JSON.parse(text);
    } catch (cause) {
      const message = `The data of ${JSON.stringify(type)} is no JSON: ${(cause as Error).message}.`;
      return { error: new EverstreamError("INVALID_DATA", message, { cause }) };
    }
  }
  try {
    const result = schema["~standard"].validate(value);
    if (!isPromise(result)) return toReading(type, result);
    return Promise.resolve(result).then(
      (settled) => toReading(type, settled),
      (cause: unknown) => failed(type, cause),
    );
  } catch (cause) {
    return failed(type, cause);
  }
}

function toReading(type: string, result: StandardResult<unknown>): Reading {
  if (result.issues === undefined) return { data: result.value };
  const message = `The data of ${JSON.stringify(type)} does not fit its schema: ${describeIssues(result.issues)}.`;
  return { error: new EverstreamError("INVALID_DATA", message, { cause: result.issues }) };
}

function failed(type: string, cause: unknown): Reading {
  const message = `The schema of ${JSON.stringify(type)} failed; see the cause.`;
  return { error: new EverstreamError("CALLBACK_FAILED", message, { cause }) };
}

function toEvent(
  event: WireEvent,
  reading: Reading | Promise<Reading> | undefined,
  onInvalid: InvalidEventListener,
): ReadEvent | undefined {
  if (reading === undefined) return undefined;
  if (isPromise(reading)) onInvalid(asynchronous(event.type), event);
  else if (reading.error !== undefined) onInvalid(reading.error, event);
  else return { type: event.type, data: reading.data, lastEventId: event.lastEventId };
  return undefined;
}

/** Events that came later would overtake one that waits, and the last event ID would be ahead of what was handed out. */
function asynchronous(type: string): EverstreamError {
  const message = `The schema of ${JSON.stringify(type)} is asynchronous; a client's must answer at once.`;
  return new EverstreamError("INVALID_OPTION", message);
}

/** A server that errs does so with every event: one word of it is enough. */
function throwOnce(): InvalidEventListener {
  const told = new Set<string>();
  return (error, { type }) => {
    if (told.has(type)) return;
    told.add(type);
    throw error;
  };
}

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as Partial<Promise<T>>).then === "function";
}

function invalid(message: string, cause?: unknown): EverstreamError {
  return new EverstreamError("INVALID_OPTION", message, { cause });
}
