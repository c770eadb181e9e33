import { FAULT, isFault, unsuitable } from "./errors.ts";
import type { Link } from "./link.ts";
import { Subjects } from "./names.ts";
import type { NatsSettings } from "./options.ts";

/** What JetStream says of a stream, as far as it matters here. */
export interface StreamInfo {
  readonly created: string;
  readonly config: StreamConfig;
  readonly state: StreamState;
  readonly cluster?: { readonly leader?: string; readonly replicas?: readonly unknown[] };
}

export interface StreamState {
  readonly first_seq: number;
  readonly last_seq: number;
}

interface StreamConfig {
  readonly subjects?: readonly string[];
  readonly storage: string;
  readonly num_replicas: number;
  readonly discard?: string;
  readonly retention?: string;
  readonly max_age?: number;
  readonly max_msgs?: number;
  readonly max_msgs_per_subject?: number;
  readonly duplicate_window?: number;
  readonly allow_direct?: boolean;
  readonly sealed?: boolean;
  readonly deny_delete?: boolean;
  readonly republish?: { readonly src: string; readonly dest: string };
}

export interface OpenedStream {
  readonly info: StreamInfo;
  readonly subjects: Subjects;
}

/** Another stream with the same name may come into being only so often while this one is looked for. */
const MAX_TRIES = 5;
/** Who finds no stream waits a part of this and looks again, so that one of several nodes makes it. */
const SPREAD_MS = 200;
/**
 * For how long servers remember that a message is followed, in nanoseconds: much longer than one that they have accepted may wait
 * until it is stored. It costs their memory, for each message that came within it.
 */
const FOLLOWED_NS = 30e9;
/**
 * The same for servers before 2.10. One that was killed goes through the last minutes of its raft log again; where that holds messages
 * that were refused, it knows as many of the last stored ones again only by this, and otherwise stores them twice in its copy (seen
 * with 2.9.10). Each server writes a snapshot, which ends that log, within three minutes.
 */
const FOLLOWED_NS_BEFORE_2_10 = 300e9;
/** How often it is looked whether a copy that is behind has what another one has. */
const BEHIND_MS = 50;
/** After so long another one's making has shown. */
const SETTLE_MS = 20;

/**
 * Finds the log's stream, or makes it.
 *
 * @throws EverstreamError `LOG_UNSUITABLE`: there is one that is not as a log needs it, or there can't be one.
 */
export async function openStream(link: Link, settings: NatsSettings): Promise<OpenedStream> {
  for (let tries = 0; ; tries++) {
    const info = (await streamInfo(link)) ?? (await makeStream(link, settings));
    if (info !== undefined) return { info, subjects: checkStream(info, settings) };
    if (tries === MAX_TRIES) throw unsuitable(`The NATS stream "${settings.name}" comes and goes.`);
  }
}

/** What the server says of the stream, or nothing where there is none. */
export async function streamInfo(link: Link): Promise<StreamInfo | undefined> {
  try {
    return await link.ask<StreamInfo>("STREAM.INFO.{stream}");
  } catch (error) {
    if (isFault(error, FAULT.streamNotFound)) return undefined;
    throw error;
  }
}

/**
 * Whether the stream has its messages through `sequence`. One of several copies that has only begun to lead may still be storing
 * what another one has shown already: it is given time for that.
 */
export async function has(link: Link, info: StreamInfo, sequence: number): Promise<boolean> {
  const until = performance.now() + link.answerMs;
  let now: StreamInfo | undefined = info;
  while (now !== undefined && now.created === info.created) {
    if (now.state.last_seq >= sequence) return true;
    if (!link.isCopied || performance.now() > until) return false;
    await pause(BEHIND_MS);
    now = await streamInfo(link);
  }
  return false;
}

/** By the log's name, the making that is under way in this process. */
const making = new Map<string, Promise<unknown>>();

/**
 * Makes the stream, one node after the other as far as they know of each other. Two requests at once to make a stream are both
 * granted by servers of 2.9, and the later one's takes the place of the first (seen with 2.9.10: in 13 of 200 tries with four
 * at once). So it is looked again, before and after.
 */
async function makeStream(link: Link, settings: NatsSettings): Promise<StreamInfo | undefined> {
  const others = making.get(settings.name);
  const work = (async () => {
    await others;
    if (others === undefined) await pause(Math.random() * SPREAD_MS);
    const found = await streamInfo(link);
    if (found !== undefined) return found;
    if ((await createStream(link, settings)) === undefined) return undefined;
    await pause(SETTLE_MS);
    return streamInfo(link);
  })();
  const settled = work.catch(() => undefined);
  making.set(settings.name, settled);
  try {
    return await work;
  } finally {
    if (making.get(settings.name) === settled) making.delete(settings.name);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Nothing where somebody else has made one meanwhile. */
async function createStream(
  link: Link,
  { name, storage = "file", replicas = 1, maxBytes }: NatsSettings,
): Promise<StreamInfo | undefined> {
  const subjects = new Subjects(name, crypto.randomUUID().slice(0, 8));
  try {
    return await link.ask<StreamInfo>("STREAM.CREATE.{stream}", {
      name,
      subjects: [subjects.all],
      storage,
      num_replicas: replicas,
      max_bytes: maxBytes,
      retention: "limits",
      // What was accepted is not dropped for what is new.
      discard: "new",
      allow_direct: true,
      duplicate_window: /^2\.9\./.test(link.connection.info?.version ?? "")
        ? FOLLOWED_NS_BEFORE_2_10
        : FOLLOWED_NS,
      republish: { src: subjects.topics, dest: subjects.pushed },
    });
  } catch (error) {
    if (isFault(error, FAULT.streamNameInUse)) return undefined;
    throw error;
  }
}

function checkStream({ config }: StreamInfo, settings: NatsSettings): Subjects {
  const { name, storage, replicas } = settings;
  const subjects = Subjects.of(name, config.subjects?.[0]);
  if (subjects === undefined || config.subjects?.length !== 1) {
    throw unsuitable(
      `The NATS stream "${name}" is not one of natsLog's: give the log another \`name\`, one that nothing else uses.`,
    );
  }
  const wrong = [
    ...(config.discard === "new" ? [] : ["discard=new"]),
    ...(config.retention === "limits" ? [] : ["retention=limits"]),
    ...((config.max_age ?? 0) === 0 ? [] : ["max-age=0"]),
    ...((config.max_msgs_per_subject ?? -1) <= 0 ? [] : ["max-msgs-per-subject=-1"]),
    ...(config.num_replicas === 1 || (config.duplicate_window ?? 0) >= FOLLOWED_NS
      ? []
      : ["duplicate-window=30s"]),
    ...(config.allow_direct === true ? [] : ["allow-direct"]),
    ...(config.republish?.src === subjects.topics && config.republish.dest === subjects.pushed
      ? []
      : [`republish from ${subjects.topics} to ${subjects.pushed}`]),
    ...(config.sealed === true ? ["sealed=false"] : []),
    ...(config.deny_delete === true ? ["deny-delete=false"] : []),
  ];
  if (wrong.length > 0) {
    throw unsuitable(
      `The NATS stream "${name}" was changed so that the log can't keep its promises. Set it back to: ${wrong.join(", ")}.`,
    );
  }
  if (storage !== undefined && config.storage !== storage) {
    throw unsuitable(
      `The NATS stream "${name}" has the storage "${config.storage}", not "${storage}" as \`storage\` says.`,
    );
  }
  if (replicas !== undefined && config.num_replicas !== replicas) {
    throw unsuitable(
      `The NATS stream "${name}" has ${config.num_replicas} replicas, not ${replicas} as \`replicas\` says. Change either.`,
    );
  }
  return subjects;
}
