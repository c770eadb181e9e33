import { headers } from "@nats-io/transport-node";
import { type ApiFault, FAULT, JetStreamFault, NoAnswer } from "./errors.ts";
import type { Link } from "./link.ts";

/** As the server says it where it looks itself. */
const FOLLOWED: ApiFault = {
  code: 400,
  err_code: FAULT.wrongLastSequence,
  description: "another message follows the one that was expected to be the last",
};

const decoder = /* @__PURE__ */ new TextDecoder();

/** What is to be stored, and after which message on the subject: 0 for the first. */
export interface Storing {
  readonly subject: string;
  readonly payload: Uint8Array | string;
  readonly expected: number;
  readonly fields?: Readonly<Record<string, string | undefined>>;
}

/**
 * Publishes into the stream, if `expected` is the newest message on the subject. Resolves to its sequence.
 *
 * The leader of several copies looks at what is stored, and not at what it has under way: of messages that expect the same one
 * at once it takes them all (seen with nats-server 2.9.10, in 499 of 500 tries with six at once). So there each one also has an
 * id, by which it is the only one to follow the one that it expects. That nothing is there yet is looked at where messages are
 * stored, by all copies, and needs no id.
 */
export async function store(
  link: Link,
  { subject, payload, expected, fields = {} }: Storing,
): Promise<number> {
  const hdrs = headers();
  hdrs.set("Nats-Expected-Stream", link.stream);
  hdrs.set("Nats-Expected-Last-Subject-Sequence", String(expected));
  if (link.isCopied && expected > 0) hdrs.set("Nats-Msg-Id", String(expected));
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) hdrs.set(name, value);
  const message = await link.request(subject, payload, hdrs);
  const answer = JSON.parse(decoder.decode(message.data)) as {
    readonly seq?: number;
    readonly duplicate?: boolean;
    readonly error?: ApiFault;
  };
  if (answer.error !== undefined) throw new JetStreamFault(answer.error);
  if (answer.duplicate === true) throw new JetStreamFault(FOLLOWED);
  if (answer.seq === undefined || answer.seq === 0) throw new NoAnswer("JetStream named no sequence");
  return answer.seq;
}
