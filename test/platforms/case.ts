// What a case of the client's core is, and what several of them need.
import { type EventStreamOptions, failureOf, openEventStream } from "everstream/client";
import type { Fault, FaultyAnswer } from "everstream/testing";

/** What a server answers by script, what the client does in a runtime, and what both have seen in the end. */
export interface Case {
  readonly name: string;
  readonly answers: readonly [FaultyAnswer, ...FaultyAnswer[]];
  /** Run in the runtime. What it resolves to has to go through JSON. */
  readonly run: (url: string) => Promise<unknown>;
  /** What that must be. */
  readonly seen: unknown;
  /** What was asked of the server: method, cursor and body, where there were any. Not given where that may differ. */
  readonly requests?: readonly string[];
}

const FAST = { minDelay: 1, maxDelay: 5 } as const;
export const ONE = "id: 1\ndata: 🙂\n\n";
export const TWO = "id: 2\ndata: two\n\n";
export const CUT = new TextEncoder().encode(ONE).length;
export const WHOLE: Fault = { body: ONE + TWO, ending: "stall" };
export const REST: Fault = { body: TWO, ending: "stall" };
export const GONE: Fault = { status: 204 };
/** The data of the first `count` events of a stream; leaving the loop closes it. */
export async function take(count: number, url: string, options?: EventStreamOptions): Promise<string[]> {
  const data: string[] = [];
  for await (const event of openEventStream(url, { ...FAST, ...options })) {
    if (data.push(event.data) === count) break;
  }
  return data;
}

/** The failure with which a loop ends. */
export async function failure(url: string, options?: EventStreamOptions): Promise<unknown> {
  const data: string[] = [];
  try {
    for await (const event of openEventStream(url, { ...FAST, ...options })) data.push(event.data);
    return { data };
  } catch (error) {
    const { code, status, body } = failureOf(error) ?? {};
    return { data, code, status, body };
  }
}
