/**
 * One connection for all tabs of an origin that want the same stream. Loaded where `share` asks for it, and only there.
 *
 * - **Who leads.** The tab that holds a Web Lock has the connection. All others wait for the lock, which the browser gives
 *   to the next one when its holder leaves, is closed or is killed. A holder that is alive but hung, and answers no
 *   question for a while, has it taken away.
 * - **What is told.** The leader tells all others, by a BroadcastChannel, every event, checkpoint and status, and each of
 *   these entries has a place: the leader's term and a number. A follower takes entries in order. Where it sees a hole (it
 *   was frozen, a message was lost, a leader died before it told all) it asks, and the leader answers with what is missing.
 * - **Who takes over** first asks all others what they have beyond it, and then goes on after the last event of all, under a
 *   term of its own. So what any of them saw, all of them see, with ids or without. One that had seen less gets the rest from
 *   the new leader's history, which every tab keeps.
 * - **Who saw more** and hung when it was asked lets the server say what is new: over a connection of its own, or by
 *   dropping what it had, where ids are positions of our server. Without an id, all that the new leader has is new.
 * - **Who joins** with a last event ID gets what came after it, out of the leader's history or, where that does not reach
 *   back so far, over a connection of its own, until both have come to the same point. Who joins without one begins with
 *   the next event.
 * - **Who is away** (in the back/forward cache, frozen, hidden where it is to pause then), or had no answer in time, leaves,
 *   and comes back as one that joins.
 *
 * It stands in place of a stream's connection: the machine of the leader's stream runs as without sharing, those of the
 * others show its status.
 */
import type { Attempt, ConnectionHandlers, runConnection } from "./connection.ts";
import type { ConnectionFailure } from "./failure.ts";
import type { AnyStreamOptions } from "./options.ts";
import { TabMember } from "./share-member.ts";
import type { RunAttempt, SharingStream } from "./share-stream.ts";

const members = new WeakMap<SharingStream, TabMember>();

/**
 * Runs a stream's attempt, here or by following another tab. What streams need without sharing is given and not imported:
 * bundlers would split it off into a third file.
 *
 * @param runAlone `runConnection`.
 * @returns As `runConnection`.
 */
export async function runShared(
  options: AnyStreamOptions,
  attempt: Attempt,
  handlers: ConnectionHandlers,
  stream: SharingStream,
  runAlone: typeof runConnection,
): Promise<ConnectionFailure | undefined> {
  const run: RunAttempt = (ours, lastEventId) => runAlone(options, { ...attempt, lastEventId }, ours);
  const known = members.get(stream);
  const name = known === undefined && canShare(options) ? await nameOf(options, attempt) : undefined;
  // Whoever came after it had left would never leave again.
  if (attempt.signal.aborted) return undefined;
  const member = known ?? (name === undefined ? undefined : new TabMember(name, stream));
  if (member === undefined) return run(handlers, attempt.lastEventId);
  members.set(stream, member);
  return member.run(attempt, handlers, run);
}

/**
 * Only what any tab may ask for at any time can go over from one to another. Locks and `crypto.subtle` are there in secure
 * contexts alone.
 */
function canShare({ method = "GET", resume = "always", resumeUrl }: AnyStreamOptions): boolean {
  const isGet = method.toUpperCase() === "GET" && resume === "always" && resumeUrl === undefined;
  const { navigator, BroadcastChannel, crypto } = globalThis;
  return isGet && [navigator?.locks, BroadcastChannel, crypto?.subtle].every(Boolean);
}

/**
 * The name of those who share: the same for equal requests. It is a hash, because names of locks can be listed, and
 * headers hold secrets. `undefined` where the request can't be known: making it will tell why.
 */
async function nameOf(
  { share, headers, credentials = "same-origin" }: AnyStreamOptions,
  { url }: Attempt,
): Promise<string | undefined> {
  try {
    const target = typeof url === "function" ? await url() : url;
    const { href } = new URL(target, globalThis.location?.href);
    const given = new Headers(typeof headers === "function" ? undefined : headers);
    const key = JSON.stringify([href, credentials, [...given], share]);
    const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key));
    return `everstream/1 ${[...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  } catch {
    return undefined;
  }
}
