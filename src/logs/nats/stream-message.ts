import type { Msg } from "@nats-io/transport-node";
import { RECORD_HEADER } from "./record.ts";

const SHORT_ACK_TOKENS = 9;

const decoder = /* @__PURE__ */ new TextDecoder();

/** A message as the stream keeps it. */
export interface StreamMessage {
  readonly subject: string;
  readonly sequence: number;
  /** When the server took it, in milliseconds. */
  readonly time: number;
  header(name: string): string;
  text(): string;
}

/** Tells a message from every other one that could have its sequence in another copy of the stream. */
export function stampOf(message: StreamMessage): string {
  return `${message.subject} ${message.header(RECORD_HEADER)}`;
}

/** A message as a consumer delivers it, with what the consumer says of it. */
export interface ConsumerDelivery {
  readonly message: StreamMessage;
  /** Its number among the consumer's deliveries, from 1. */
  readonly order: number;
  /** How many more there are. */
  readonly pending: number;
  /** When the server took the message, in nanoseconds, as digits. */
  readonly nanos: string;
}

/** Reads what a consumer says in a message's reply subject. Nothing where the message is none of the stream's. */
export function deliveryOf({ subject, reply, headers: hdrs, data }: Msg): ConsumerDelivery | undefined {
  if (reply?.startsWith("$JS.ACK.") !== true) return undefined;
  const tokens = reply.split(".");
  // Servers of several domains put the domain and the account before the stream's name.
  const at = tokens.length > SHORT_ACK_TOKENS ? 2 : 0;
  const numberAt = (index: number): number => Number(tokens[at + index]);
  return {
    message: {
      subject,
      sequence: numberAt(5),
      time: numberAt(7) / 1e6,
      header: (name) => hdrs?.get(name) ?? "",
      text: () => decoder.decode(data),
    },
    order: numberAt(6),
    pending: numberAt(8),
    nanos: tokens[at + 7] ?? "",
  };
}

/** A message as the stream's leader answers with it. */
export interface ApiMessage {
  readonly subject: string;
  readonly seq: number;
  readonly hdrs?: string;
  readonly data?: string;
  readonly time: string;
}

/** Reads what any copy of the stream answers. */
export function directMessage(message: Msg): StreamMessage {
  const { headers: hdrs, data } = message;
  return {
    subject: hdrs?.get("Nats-Subject") ?? "",
    sequence: Number(hdrs?.get("Nats-Sequence")),
    time: Date.parse(hdrs?.get("Nats-Time-Stamp") ?? ""),
    header: (name) => hdrs?.get(name) ?? "",
    text: () => decoder.decode(data),
  };
}

/** Reads what the stream's leader answers. */
export function apiMessage({ subject, seq, hdrs = "", data = "", time }: ApiMessage): StreamMessage {
  let fields: Map<string, string> | undefined;
  return {
    subject,
    sequence: seq,
    time: Date.parse(time),
    header(name) {
      fields ??= fieldsOf(decoder.decode(bytesOf(hdrs)));
      return fields.get(name) ?? "";
    },
    text: () => decoder.decode(bytesOf(data)),
  };
}

function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (unit) => unit.charCodeAt(0));
}

function fieldsOf(block: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of block.split("\r\n").slice(1)) {
    const colon = line.indexOf(":");
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return fields;
}
