// What the client's core does, as cases that run in any runtime. Nothing here is Node's.
import { openEventStream } from "everstream/client";
import type { Case } from "./case.ts";
import { troubleCases } from "./fault-cases.ts";
import { nativeCases } from "./native-cases.ts";
import { parserCases } from "./parser-cases.ts";
import { leavingCases, streamCases } from "./stream-cases.ts";

export const coreCases: readonly Case[] = [...parserCases, ...troubleCases, ...streamCases];

/** A loop that reads one event and then nothing for as long as `hold` takes to be answered; then all. */
export async function lag(url: string, hold: string): Promise<number> {
  let count = 0;
  for await (const event of openEventStream(url, { maxQueue: 10 })) {
    if (event.data === "last") break;
    if (count++ === 0) await (await fetch(hold)).text();
  }
  return count;
}

/** Runs the case of that name. What it throws is told as text. */
export async function runCase(name: string, url: string): Promise<unknown> {
  const all = [...coreCases, ...leavingCases, ...nativeCases];
  const found = all.find((candidate) => candidate.name === name);
  try {
    return found ? await found.run(url) : `there is no case called ${name}`;
  } catch (error) {
    return `threw ${error instanceof Error ? error.stack : String(error)}`;
  }
}
