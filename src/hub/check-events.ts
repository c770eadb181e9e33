import { EverstreamError } from "../errors.ts";
import { type EventSchemas, isText, type Reading } from "../schema/index.ts";
import type { StoredEvent } from "./log.ts";

/** Looks whether events may be published. Gives a promise only where a schema does. */
export type CheckEvents = (events: readonly StoredEvent[]) => Promise<void> | undefined;

/**
 * Makes the check of a hub's `events`. It reads each event as a client will, from what goes onto the wire: what a JSON
 * form can't carry is found here, not by every client.
 *
 * @throws EverstreamError `INVALID_OPTION`.
 */
export function eventCheck(definition: EventSchemas | undefined): CheckEvents | undefined {
  if (definition === undefined) return undefined;
  if (typeof definition?.read !== "function") {
    throw new EverstreamError(
      "INVALID_OPTION",
      "`events` must be what `defineEvents` gives, not the schemas themselves.",
    );
  }
  return (events) => {
    const readings = events.map((event) => readingOf(event, definition));
    if (readings.some((reading) => reading instanceof Promise)) {
      return Promise.all(readings).then((settled) => settled.forEach(assertValid));
    }
    (readings as Reading[]).forEach(assertValid);
    return undefined;
  };
}

function readingOf({ type, data, json }: StoredEvent, definition: EventSchemas): Reading | Promise<Reading> {
  const schema = Object.hasOwn(definition.schemas, type) ? definition.schemas[type] : undefined;
  if (schema === undefined) return unknownType(type, definition);
  // Empty data is an event without any, which a schema may take as `undefined`.
  const wantsText = isText(schema);
  if (data !== "" && json === wantsText) {
    const [wanted, given] = wantsText ? ["text", "data"] : ["data", "text"];
    const message = `Events of the type ${JSON.stringify(type)} are published with \`${wanted}\`, not with \`${given}\`.`;
    return { error: new EverstreamError("INVALID_DATA", message) };
  }
  return definition.read(type, data) ?? unknownType(type, definition);
}

function unknownType(type: string, { schemas }: EventSchemas): Reading {
  const known = Object.keys(schemas).join(", ");
  const message = `The hub's \`events\` define no type ${JSON.stringify(type)}, only ${known}.`;
  return { error: new EverstreamError("UNKNOWN_TYPE", message) };
}

function assertValid({ error }: Reading, index: number, { length }: readonly Reading[]): void {
  if (error === undefined) return;
  if (length === 1) throw error;
  throw new EverstreamError(error.code, `Event ${index} of the batch: ${error.message}`, {
    cause: error.cause,
  });
}
