// Whatever is asked of it, in whatever order and with restarts in between, a log answers as the one in memory.
import {
  type AppendRequest,
  type AppendResult,
  type LogConnection,
  memoryLog,
  type ReadQuery,
  type RetentionLimits,
} from "everstream";
import { expect, it } from "vitest";
import { type LogFixture, openNode } from "./contract.ts";

const TOPICS = ["a", "b", "c", "d"];
const STEPS = 400;
/** Each step is several calls, which with a server may each have to wait for their turn. */
const TIMEOUT_MS = 240_000;
/** What an append's events have together at the most, in bytes: no broker's own limit is to be met. */
const LARGE = 900_000;

const seeds = process.env.EVERSTREAM_SEED
  ? [Number(process.env.EVERSTREAM_SEED)]
  : Array.from({ length: 6 }, () => Math.floor(Math.random() * 2 ** 31));

/** Holds a log against the one in memory. `deletesHaveIds`: whether one that found nothing to delete is remembered. */
export function itAnswersAsMemory(
  name: string,
  create: () => Promise<LogFixture>,
  { deletesHaveIds = true }: { deletesHaveIds?: boolean } = {},
): void {
  it.each(seeds)(
    `${name} answers as the log in memory (seed %i)`,
    (seed) => compare(seed, create, deletesHaveIds),
    TIMEOUT_MS,
  );
}

async function compare(
  seed: number,
  create: () => Promise<LogFixture>,
  deletesHaveIds: boolean,
): Promise<void> {
  const random = randomFrom(seed);
  const below = (count: number) => Math.floor(random() * count);
  const pick = <Item>(items: readonly Item[]): Item => items[below(items.length)] as Item;
  const fixture = await create();
  const memory = await openNode(memoryLog());
  let other = await openNode(fixture.log);
  let now = 1_000_000;

  /** One call on both, with the same answer. */
  const both = async (call: (connection: LogConnection) => Promise<unknown>) => {
    const [wanted, got] = await Promise.all([call(memory.connection), call(other.connection)]);
    expect(got).toEqual(wanted);
  };
  const bothRead = (query: ReadQuery) =>
    both(async (connection) => {
      const page = await connection.read(query);
      const entries = page.entries.map(({ sequence, topic, kind, event }) => ({
        sequence,
        topic,
        kind,
        event,
      }));
      return { ...page, entries };
    });
  const retention = (): RetentionLimits => ({
    maxEvents: pick([1, 3, 20, 1e9]),
    maxBytes: pick([500, 3000, 1e12]),
    maxAgeMs: pick([50, 1000, Number.POSITIVE_INFINITY]),
  });
  const request = (limits: Map<string, RetentionLimits>, asked: Set<string>): AppendRequest => {
    const topic = pick(TOPICS);
    // A finish with a lower age may have trimmed all there is, or leave that to `expire`.
    const nothing = asked.has(topic) ? undefined : null;
    asked.add(topic);
    const mark = pick([undefined, undefined, undefined, undefined, "finish", "delete"] as const);
    const count = mark === "delete" ? 0 : mark === "finish" ? below(3) : 1 + below(pick([2, 2, 30]));
    return {
      topic,
      events: Array.from({ length: count }, () => ({
        type: "message",
        data: "x".repeat(below(pick([10, 10, 10, Math.min(100_000, LARGE / count)]))),
        json: false,
        key: pick([undefined, "k"]),
        meta: pick([undefined, { m: "1" }]),
        time: now,
        version: 1,
      })),
      mark,
      expectLast: pick([undefined, undefined, nothing, below(200)]),
      publishId: pick(
        [undefined, undefined, "p", "q"].map((id) => (mark !== "delete" || deletesHaveIds ? id : undefined)),
      ),
      publishIdWindowMs: pick([10, 500]),
      retention: limits.get(topic) as RetentionLimits,
      now,
    };
  };

  try {
    for (let step = 0; step < STEPS; step++) {
      now += below(pick([2, 20, 200]));
      await both((connection) => connection.expire(now));
      // The same for a step: an append may trim by age, which others leave to `expire`.
      const limits = new Map(TOPICS.map((topic) => [topic, retention()]));
      const asked = new Set<string>();
      const requests = Array.from({ length: 1 + below(pick([1, 8])) }, () => request(limits, asked));
      await both((connection) => Promise.all(requests.map((request) => appendTo(connection, request))));
      await both((connection) => connection.expire(now));
      const query = {
        topics: TOPICS.filter(() => random() < 0.6),
        after: pick([0, below(500), { last: below(40) }]),
        maxEntries: pick([0, 1, 7, 1e6]),
        maxBytes: pick([1, 1000, 1e9]),
      };
      await bothRead(query);
      if (random() < 0.02) {
        await other.connection.close();
        other = await openNode(await fixture.restart());
      }
    }
    // A node that was started a moment ago may not have heard yet what is over its age.
    await both((connection) => connection.expire(now));
    await bothRead({ topics: TOPICS, after: 0, maxEntries: 1e6, maxBytes: 1e9 });
  } finally {
    await other.connection.close();
    await fixture.dispose();
  }
}

/** Appends. Of which epoch the result is differs from log to log. */
async function appendTo(connection: LogConnection, request: AppendRequest): Promise<AppendResult> {
  const result = await connection.append(request);
  if (!result.accepted) return result;
  const { accepted, sequences, repeated } = result;
  return { accepted, sequences, repeated };
}

/** Numbers from 0 to 1, the same ones for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
