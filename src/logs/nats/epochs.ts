import type { Epoch } from "../../hub/log.ts";
import { FAULT, isFault, unsuitable } from "./errors.ts";
import type { Link } from "./link.ts";
import { PLACES } from "./names.ts";
import { store } from "./store.ts";
import { has, type OpenedStream, type StreamInfo } from "./stream.ts";
import type { StreamMessage } from "./stream-message.ts";

/** How many epochs are remembered. A cursor of an older one is a gap. */
const MAX_EPOCHS = 1000;
const MAX_TRIES = 10;

/** What the stream's mark of the current epoch says. */
interface Mark {
  readonly epoch: number;
  /** Which server process had the stream, where one alone has it. */
  readonly server?: string;
  /** When the stream was made. */
  readonly created: string;
  /** The epochs before, with their first sequences. */
  readonly before: readonly (readonly [epoch: number, first: number])[];
}

/** The epochs of a stream, and the message that says so. */
export interface Lineage {
  readonly epochs: readonly Epoch[];
  readonly mark: number;
  /** Whether the mark was made by this very call. */
  readonly isNew: boolean;
}

/** What a node knows of a stream from before: it must still be there. */
export interface Remembered {
  readonly epochs: readonly Epoch[];
  /** The newest message that it knows of. */
  readonly through: number;
}

/**
 * Finds out whether the stream is the one that the newest mark speaks of, with nothing lost since. Who can't prove that
 * begins a new epoch, which costs nobody anything where nothing was lost: cursors before it stay good.
 *
 * A stream that one server has alone is proven by that server's process: as long as it runs, it has lost nothing; what it
 * finds after a restart may be less than it had, or an older copy. Streams with several copies are kept by a majority of
 * them. Whoever remembers more than there is proves a loss in any case.
 */
export async function findLineage(
  link: Link,
  { info, subjects }: OpenedStream,
  remembered: Remembered | undefined,
): Promise<Lineage> {
  const server = info.cluster === undefined ? link.connection.info?.server_id : undefined;
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const message = await link.getFromLeader({ last_by_subj: subjects.epoch });
    const mark = message === undefined ? undefined : readMark(message);
    const before = message === undefined || mark === undefined ? [] : epochsOf(mark, message.sequence);
    const isProven =
      mark !== undefined &&
      message !== undefined &&
      mark.created === info.created &&
      (server === undefined || mark.server === server) &&
      !(await isLess(link, info, mark.epoch, remembered));
    if (isProven) return { epochs: before, mark: message.sequence, isNew: false };
    const made: Mark = {
      epoch: newEpoch(before),
      ...(server !== undefined && { server }),
      created: info.created,
      before: before.slice(1 - MAX_EPOCHS).map(({ epoch, first }) => [epoch, first]),
    };
    try {
      const sequence = await store(link, {
        subject: subjects.epoch,
        payload: JSON.stringify(made),
        expected: message?.sequence ?? 0,
      });
      return { epochs: epochsOf(made, sequence), mark: sequence, isNew: true };
    } catch (error) {
      // Somebody else was quicker, and has found out the same.
      if (!isFault(error, FAULT.wrongLastSequence)) throw error;
    }
  }
  throw unsuitable(
    "The NATS log's epochs change all the time: are several servers answering with different data?",
  );
}

/** Whether there is less than was there. In an epoch that is not known here somebody else has found that out already. */
async function isLess(
  link: Link,
  info: StreamInfo,
  epoch: number,
  remembered: Remembered | undefined,
): Promise<boolean> {
  if (remembered === undefined) return false;
  const at = remembered.epochs.findIndex((known) => known.epoch === epoch);
  if (at === -1) return false;
  return at < remembered.epochs.length - 1 || !(await has(link, info, remembered.through));
}

/** The epoch that a mark begins has the mark's own places: nobody can have seen an event there that is still there. */
function epochsOf({ epoch, before }: Mark, message: number): Epoch[] {
  const earlier = before.map(([number, first]) => ({ epoch: number, first }));
  return [...earlier, { epoch, first: message * PLACES }];
}

function readMark(message: StreamMessage): Mark | undefined {
  const mark = JSON.parse(message.text()) as Partial<Mark> | null;
  if (typeof mark?.epoch !== "number" || typeof mark.created !== "string" || !Array.isArray(mark.before)) {
    throw unsuitable("The NATS log's stream holds an epoch that this version of everstream can't read.");
  }
  return mark as Mark;
}

/** Short on the wire, and not likely to be that of a log that once stood in this one's place. */
function newEpoch(known: readonly Epoch[]): number {
  for (;;) {
    const epoch = (crypto.getRandomValues(new Uint32Array(1))[0] as number) + 1;
    if (known.every((other) => other.epoch !== epoch)) return epoch;
  }
}
