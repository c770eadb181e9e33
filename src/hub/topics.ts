import { EverstreamError } from "../errors.ts";

const MAX_TOPIC_BYTES = 256;
/** A UTF-16 unit takes at most three bytes, so that a topic of this length needs no counting. */
const SURELY_SHORT = Math.floor(MAX_TOPIC_BYTES / 3);
/** Half of a pair: UTF-8 can't carry it, and two topics that differ in one would become the same in some logs. */
const LONE_SURROGATE = /\p{Surrogate}/u;

const encoder = /* @__PURE__ */ new TextEncoder();

/**
 * Checks a topic's name: any text of 1 to 256 bytes in UTF-8.
 *
 * @throws EverstreamError `INVALID_TOPIC`.
 */
export function assertTopic(topic: unknown): asserts topic is string {
  if (typeof topic !== "string") throw invalid(`A topic must be a string, but this one is ${typeof topic}.`);
  if (topic === "") throw invalid("A topic's name can't be empty.");
  if (topic.length > SURELY_SHORT && encoder.encode(topic).length > MAX_TOPIC_BYTES) {
    throw invalid(`A topic's name can't be longer than ${MAX_TOPIC_BYTES} bytes in UTF-8.`);
  }
  if (LONE_SURROGATE.test(topic)) {
    throw invalid("A topic's name holds half of a surrogate pair, which is no text.");
  }
}

/**
 * Checks the topics that one reader asks for. Returns them sorted, each once.
 *
 * @throws EverstreamError `INVALID_TOPIC` also where there are none, `TOO_MANY_TOPICS`.
 */
export function topicSet(topics: string | readonly string[], max: number): readonly string[] {
  if (typeof topics === "string") {
    assertTopic(topics);
    return [topics];
  }
  if (!Array.isArray(topics) || topics.length === 0) throw invalid("Name at least one topic.");
  const set = new Set<string>(topics);
  if (set.size > max) {
    throw new EverstreamError(
      "TOO_MANY_TOPICS",
      `${set.size} topics are more than the ${max} that one reader may have; ask for fewer, or raise \`limits.maxTopics\`.`,
    );
  }
  for (const topic of set) assertTopic(topic);
  return [...set].sort();
}

function invalid(message: string): EverstreamError {
  return new EverstreamError("INVALID_TOPIC", message);
}
