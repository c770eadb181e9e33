// What was published to a log that loses data now and then, against what a client received. A position is of an epoch, and
// what the log has lost is of epochs that it has no more: a client may go from one event to the next where some state of the
// log had the two one after the other, and wherever it may not, it must have been told by a gap.
import type { Epoch } from "everstream";
import { parsePosition } from "everstream/protocol";
import { Account, type Grant, type Received } from "./account.ts";

interface Accepted {
  readonly sequence: number;
  readonly id: string;
  readonly topic: string;
  readonly data: string;
}

/** The epochs of one state of the log, and all that it ever had. */
interface Lineage {
  readonly epochs: readonly Epoch[];
  accepted: readonly Accepted[];
}

/** What came between two gaps. */
interface Stretch {
  /** The position that it began behind; none where it was cut before that was told. */
  from: string | undefined;
  through: string;
  readonly events: { readonly id: string; readonly data: string }[];
}

/** Events say their topic in their data, because of some only readers ever learn the id. */
export class LossyAccount extends Account {
  readonly #published = new Map<string, string>();
  readonly #topics = new Map<string, string>();
  readonly #byId = new Map<string, string>();
  readonly #lineages: Lineage[] = [];
  readonly #faults: string[] = [];

  override get size(): number {
    return this.#published.size;
  }

  override add(topic: string, id: string, data: string): void {
    this.#published.set(data, id);
    this.#topics.set(data, topic);
    this.#learn(id, data);
  }

  /** Notes the epochs of the log at the moment. To be called before what belongs to them is lost, and at the end. */
  note(epochs: readonly Epoch[]): void {
    this.#lineages.push({ epochs, accepted: [] });
  }

  /** Learns from all that was received what was stored without its publisher's knowing. Then {@link faultsOf} can judge. */
  see(parts: readonly Received[]): void {
    for (const { events } of parts) for (const { id, data } of events) this.#learn(id, data);
    for (const lineage of this.#lineages) lineage.accepted = this.#acceptedIn(lineage);
  }

  /** What is wrong whoever looks: ids that were used twice, events that were stored twice. */
  get faults(): readonly string[] {
    return this.#faults;
  }

  override faultsOf(received: Received): string[] {
    const faults: string[] = [];
    let stretch: Stretch = stretchFrom(received.cursor || undefined);
    const end = (): void => {
      const { from, through, events } = stretch;
      if (from === undefined || this.#lineages.some((lineage) => isWhole(lineage, stretch, received.grants)))
        return;
      faults.push(
        `no state of the log has just these events from ${from} through ${through}: ${JSON.stringify(events)}`,
      );
    };
    for (const { event, data, lastEventId } of received.blocks) {
      if (event === "sse:gap") {
        end();
        const gap = JSON.parse(data) as { reason: string; after: string };
        const isDue = this.#lineages.some(({ epochs }) => sequenceIn(epochs, gap.after) === undefined);
        if (gap.reason !== "epoch" || !isDue) faults.push(`a gap that should not be: ${data}`);
        stretch = stretchFrom(undefined);
        continue;
      }
      stretch.from ??= lastEventId;
      stretch.through = lastEventId;
      if (event !== "sse:live") stretch.events.push({ id: lastEventId, data });
    }
    end();
    return faults;
  }

  #learn(id: string, data: string): void {
    const known = this.#byId.get(id);
    if (known !== undefined && known !== data) this.#faults.push(`${id} is ${known} and ${data}`);
    this.#byId.set(id, data);
    if (!this.#topics.has(data)) this.#topics.set(data, (JSON.parse(data) as { topic: string }).topic);
  }

  #acceptedIn({ epochs }: Lineage): Accepted[] {
    const accepted: Accepted[] = [];
    for (const [id, data] of this.#byId) {
      const sequence = sequenceIn(epochs, id);
      if (sequence !== undefined) accepted.push({ sequence, id, data, topic: this.#topics.get(data) ?? "" });
    }
    accepted.sort((a, b) => a.sequence - b.sequence);
    const seen = new Set<string>();
    for (const { data, id } of accepted) {
      if (seen.has(data)) this.#faults.push(`${data} is stored twice, for the second time as ${id}`);
      seen.add(data);
    }
    return accepted;
  }
}

function stretchFrom(from: string | undefined): Stretch {
  return { from, through: from ?? "", events: [] };
}

/** What a position is in a log with these epochs, unless it has lost it. */
function sequenceIn(epochs: readonly Epoch[], text: string): number | undefined {
  const position = parsePosition(text);
  const index = epochs.findLastIndex(({ epoch }) => epoch === position?.epoch);
  if (position === undefined || index === -1) return undefined;
  const next = epochs[index + 1];
  return next === undefined || position.sequence < next.first ? position.sequence : undefined;
}

function isWhole(
  { epochs, accepted }: Lineage,
  { from, through, events }: Stretch,
  grants: readonly Grant[],
): boolean {
  const [first, last] = [sequenceIn(epochs, from ?? ""), sequenceIn(epochs, through)];
  if (first === undefined || last === undefined) return false;
  const topics = new Set(grants.map(({ topic }) => topic));
  const due = accepted
    .slice(indexAfter(accepted, first), indexAfter(accepted, last))
    .filter(({ topic }) => topics.has(topic));
  return (
    due.length === events.length &&
    due.every(({ id, data }, index) => events[index]?.id === id && events[index]?.data === data)
  );
}

function indexAfter(accepted: readonly Accepted[], sequence: number): number {
  let low = 0;
  let high = accepted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((accepted[middle] as Accepted).sequence <= sequence) low = middle + 1;
    else high = middle;
  }
  return low;
}
