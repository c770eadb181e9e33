/** The events of an application, defined once for its server and its clients. */
export { asText, defineEvents, isText } from "./define.ts";
export type { InputOf, StandardSchema } from "./standard.ts";
export type {
  Defined,
  EventSchemas,
  EventToPublish,
  EventToRead,
  InvalidEventListener,
  Reading,
  SchemaMap,
  TextSchema,
} from "./types.ts";
