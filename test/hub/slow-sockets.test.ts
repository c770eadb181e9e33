// Slow consumers over real sockets and by the real clock: the kernel takes some megabytes in a client's place.
import type { Socket } from "node:net";
import { createHub, type Hub, type SlowPolicy } from "everstream";
import { streamTopics } from "everstream/node";
import { type RawResponse, rawRequest, serveForTest } from "everstream/testing";
import { expect, it, onTestFinished } from "vitest";

/** Well over what the kernel takes for a client that does not read. */
const EVENTS = 3000;
const TEXT = "x".repeat(4000);
/** At the latest by then a client that takes nothing is slow: with each event, that is looked at. */
const MOST_EVENTS = 10 * EVENTS;

/** A hub behind a server, whose first client takes nothing from now on while two others read. */
async function withStalled(slowConsumer: SlowPolicy) {
  const retention = { maxEvents: 1e6, maxBytes: 1e9 };
  const hub = createHub({ slowConsumer, retention, limits: { maxWaitingBytes: 64 * 1024 } });
  onTestFinished(() => hub.close());
  const sockets: Socket[] = [];
  const server = await serveForTest((req, res) => {
    sockets.push(req.socket);
    void streamTopics(req, res, hub, { topics: "t", stallTimeout: 600_000 });
  });
  onTestFinished(() => server.close());
  const stalled = await rawRequest(server, "/");
  await stalled.until("sse:live");
  stalled.socket.pause();
  const others = await Promise.all(Array.from({ length: 2 }, () => rawRequest(server, "/")));
  return { hub, server, sockets, stalled, others };
}

/**
 * Publishes events, each with one of three keys, at least `EVENTS` and until enough has happened. Resolves to how many
 * when the clients have the last one.
 */
async function publishAll(
  hub: Hub,
  clients: readonly RawResponse[],
  isEnough: () => boolean,
): Promise<number> {
  let count = 0;
  for (; count < EVENTS || (!isEnough() && count < MOST_EVENTS); count++) {
    // Time passes, too, once a burst is over.
    if (count >= EVENTS) await new Promise((resolve) => setTimeout(resolve, 1));
    await hub.publish("t", { data: `${count} ${TEXT}`, key: `k${count % 3}` });
  }
  await Promise.all(clients.map((client) => untilHas(client, count - 1)));
  return count;
}

/** Resolves when a client has the event of that number; positions may come after it. */
function untilHas(client: RawResponse, number: number): Promise<string> {
  const isThere = ({ data }: { data: string }) => data.startsWith(`"${number} x`);
  return client.until(({ events }) => events.slice(-5).some(isThere), 60_000);
}

/** The numbers of the events that a client has, which must come once and in order. */
function numbersOf({ events }: RawResponse): number[] {
  const numbers = events.flatMap(({ event, data }) =>
    event === "message" ? [Number.parseInt(data.slice(1), 10)] : [],
  );
  expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
  return numbers;
}

/** Whether the socket has held bytes for three times as long as makes its client slow. */
function heldForLong(socket: Socket): () => boolean {
  let since: number | undefined;
  return () => {
    if (socket.writableLength > 0) since ??= performance.now();
    return since !== undefined && performance.now() - since > 300;
  };
}

const gapsOf = ({ events }: RawResponse): number => events.filter(({ event }) => event === "sse:gap").length;

it.each([
  ["resume", "all", 0],
  ["dropOldest", "the newest", 1],
  ["latestByKey", "the newest of each key", 0],
] as const)(
  "%s: who reads gets everything while another takes nothing, for which little waits, and which then gets %s",
  { timeout: 120_000 },
  async (policy, _, gaps) => {
    const { hub, sockets, stalled, others } = await withStalled(policy);
    const [socket] = sockets as [Socket];
    const count = await publishAll(hub, others, heldForLong(socket));
    for (const one of others) expect(numbersOf(one)).toHaveLength(count);
    expect(socket.writableLength).toBeGreaterThan(0);
    expect(socket.writableLength).toBeLessThan(256 * 1024);
    stalled.socket.resume();
    await untilHas(stalled, count - 1);
    const received = numbersOf(stalled);
    expect(gapsOf(stalled)).toBe(gaps);
    expect(received.length === count).toBe(policy === "resume");
    expect(received.slice(-3)).toEqual([count - 3, count - 2, count - 1]);
    // What the kernel had taken comes whole, and after it there is no more than what is the newest then.
    const hole = received.findIndex((number, index) => number !== index);
    if (policy === "latestByKey") expect(received.length - hole).toBeLessThan(100);
    expect(hub.stats().dropped > 0).toBe(policy !== "resume");
  },
);

it("disconnect: who takes nothing is cut off, the others get everything, and it resumes with its position", async () => {
  const { hub, server, stalled, others } = await withStalled("disconnect");
  const count = await publishAll(hub, others, () => hub.stats().closed.slow === 1);
  for (const one of others) expect(numbersOf(one)).toHaveLength(count);
  expect(hub.stats()).toMatchObject({ sessions: 2, dropped: 0, closed: { slow: 1 } });
  stalled.socket.resume();
  expect(await stalled.ended).toBe("cut");
  const received = numbersOf(stalled);
  expect(received.length).toBeLessThan(count);
  const cursor = stalled.events.at(-1)?.lastEventId as string;
  const again = await rawRequest(server, "/", { headers: { "Last-Event-ID": cursor } });
  await untilHas(again, count - 1);
  expect([...received, ...numbersOf(again)]).toEqual(Array.from({ length: count }, (_, index) => index));
  expect([gapsOf(stalled), gapsOf(again)]).toEqual([0, 0]);
}, 120_000);
