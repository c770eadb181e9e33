import { type AppendRequest, type AppendResult, type Epoch, sizeOf } from "../../hub/log.ts";
import { redisError } from "./failure.ts";
import { encodeRecord } from "./record.ts";

/** An append as the script takes it. */
export interface EncodedAppend {
  readonly args: readonly string[];
  /** By estimate, and counted as queues and calls are limited. */
  readonly bytes: number;
}

/** What an append weighs beside its events. */
const APPEND_OVERHEAD = 200;

/** A hundred years: Redis takes no endless time. */
const MAX_WINDOW_MS = 3_155_760_000_000;

export function encodeAppend(request: AppendRequest): EncodedAppend {
  const { topic, events, mark, expectLast, publishId, publishIdWindowMs, retention, now } = request;
  const args = [
    topic,
    String(events.length),
    mark ?? "",
    expectLast === undefined ? "" : String(expectLast),
    publishId ?? "",
    String(Math.ceil(Math.min(publishIdWindowMs, MAX_WINDOW_MS))),
    limit(retention.maxEvents),
    limit(retention.maxBytes),
    limit(retention.maxAgeMs),
    String(now),
  ];
  let bytes = APPEND_OVERHEAD;
  for (const event of events) {
    const size = sizeOf(event);
    bytes += size;
    args.push(String(size), String(event.time), encodeRecord(event));
  }
  return { args, bytes };
}

/** An append in whose place nothing is done. */
export const SKIPPED: readonly string[] = ["", "0", "skip", "", "", "0", "0", "0", "0", "0"];

/** Whether an append names a sequence that the epoch of its time did not keep. */
export function expectsWhatIsLost(
  { expectLast }: AppendRequest,
  then: readonly Epoch[],
  now: readonly Epoch[],
): boolean {
  if (typeof expectLast !== "number" || expectLast <= 0 || then === now) return false;
  const epoch = then.at(-1)?.epoch;
  const index = now.findLastIndex((one) => one.epoch === epoch);
  if (index === -1) return true;
  const next = now[index + 1];
  return next !== undefined && expectLast >= next.first;
}

/** Scripts read -1 as no limit. */
function limit(value: number): string {
  return value >= Number.MAX_SAFE_INTEGER ? "-1" : String(value);
}

const RESULT = /^([+=])(\d+) (\d+) (\d+)$/;

/** Reads the line that a script answers with for one append. */
export function parseResult(line: string | undefined): AppendResult {
  // Skipped, because the epoch of its time did not keep what it expects.
  if (line === "c" || line === "s") return { accepted: false, reason: "conflict" };
  if (line === "f") return { accepted: false, reason: "finished" };
  const match = RESULT.exec(line ?? "");
  if (match === null) {
    throw redisError("tell whether the event was stored", "the result is no longer known");
  }
  const first = Number(match[2]);
  return {
    accepted: true,
    sequences: Array.from({ length: Number(match[3]) }, (_, index) => first + index),
    repeated: match[1] === "=",
    epoch: Number(match[4]),
  };
}
