// What clients of a cluster's nodes have got.
import { randomUUID } from "node:crypto";
import { type GapData, parsePosition } from "everstream/protocol";
import type { RawResponse } from "everstream/testing";
import type { ClusterNode } from "./nodes.ts";

/** For what takes a broker's restart, a lease, or another process' attention on a machine that has other work. */
export const PATIENCE_MS = 30_000;

export function eventsAt(topics: readonly string[], from: "now" | "start" = "now"): string {
  const params = new URLSearchParams(topics.map((topic) => ["topic", topic]));
  return `/events?${params}${from === "start" ? "&start=1" : ""}`;
}

/** Opens a stream, and waits until it is live. */
export async function openLive(node: ClusterNode, path: string, lastEventId?: string): Promise<RawResponse> {
  const client = await node.open(path, lastEventId);
  await client.until("event: sse:live", PATIENCE_MS);
  return client;
}

/** Publishes, and again under the same name what a machine with other work had no time for. */
export async function publishSurely(
  node: ClusterNode,
  topic: string,
  data: unknown,
  name: string = randomUUID(),
): Promise<string> {
  for (;;) {
    const { id, code } = await node.publish(topic, data, name);
    if (id !== undefined) return id;
    if (code !== "LOG_FAILED") throw new Error(`The node answered with ${code}.`);
  }
}

const isOwn = ({ event }: { event: string }): boolean => !event.startsWith("sse:");

/** What was published, without what everstream adds. */
export function dataOf({ events }: Pick<RawResponse, "events">): unknown[] {
  return events.filter(isOwn).map(({ data }) => JSON.parse(data));
}

export function idsOf({ events }: Pick<RawResponse, "events">): string[] {
  return events.filter(isOwn).map(({ lastEventId }) => lastEventId);
}

export function gapsOf({ events }: Pick<RawResponse, "events">): GapData[] {
  return events.filter(({ event }) => event === "sse:gap").map(({ data }) => JSON.parse(data));
}

/** The cursor of a client that got all of this, and nothing more. */
export function cursorOf({ events }: Pick<RawResponse, "events">): string {
  return events.at(-1)?.lastEventId ?? "";
}

export function sequenceOf(id: string): number {
  return parsePosition(id)?.sequence ?? Number.NaN;
}

/** Waits until the client has so many events of its topics. */
export async function untilCount(client: RawResponse, count: number): Promise<void> {
  await client.until((each) => dataOf(each).length >= count, PATIENCE_MS);
}

/** The text that a run's readers have got, over all of their connections. */
export function runText(...clients: readonly Pick<RawResponse, "events">[]): string {
  return clients
    .flatMap(({ events }) => events)
    .filter(({ event }) => event === "token")
    .map(({ data }) => (JSON.parse(data) as { content: string }).content)
    .join("");
}

/** How a run has ended, as its readers are told. */
export function endOf({ events }: Pick<RawResponse, "events">): { type: string; code?: string } | undefined {
  const last = events.find(({ event }) => event === "done" || event === "error");
  if (last === undefined) return undefined;
  const { code } = JSON.parse(last.data) as { code?: string };
  return { type: last.event, ...(code !== undefined && { code }) };
}
