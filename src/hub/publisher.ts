import { EverstreamError } from "../errors.ts";
import { assertOptions, type NamesOf } from "../input.ts";
import { formatPosition } from "../protocol/index.ts";
import type { Defined } from "../schema/index.ts";
import { type CheckEvents, eventCheck } from "./check-events.ts";
import { hubClosed, noPosition } from "./errors.ts";
import { type PublishedEvent, storedEvents } from "./event.ts";
import type { Live } from "./live.ts";
import type { AppendRequest, RetentionLimits, StoredEvent } from "./log.ts";
import type { Meter } from "./meter.ts";
import {
  assertPublishId,
  type HubOptions,
  type Limits,
  limitsOfRetention,
  type PublishOptions,
  retentionOf,
} from "./options.ts";
import { assertTopic } from "./topics.ts";

const PUBLISH_NAMES: NamesOf<PublishOptions> = {
  expectLast: true,
  publishId: true,
  finish: true,
  retention: true,
  unchecked: true,
};

/** How long a `publishId` is remembered. */
const PUBLISH_ID_WINDOW_MS = 5 * 60 * 1000;

/** What publishing needs of the hub. */
export interface PublisherHost {
  readonly meter: Meter;
  /** The live side, once there is one: who publishes all the time waits for no promise of it. */
  readonly opened: Live | undefined;
  live(): Promise<Live>;
}

/** A hub's way to its log: looks at what is to be published, and has the log accept it. */
export class Publisher {
  readonly #host: PublisherHost;
  readonly #maxEventBytes: number;
  readonly #check: CheckEvents | undefined;
  readonly #retention: (topic: string) => RetentionLimits;

  /** @throws EverstreamError `INVALID_OPTION`. */
  constructor(
    host: PublisherHost,
    { maxEventBytes }: Limits,
    { events, retention }: Pick<HubOptions<Defined>, "events" | "retention">,
  ) {
    this.#host = host;
    this.#maxEventBytes = maxEventBytes;
    this.#check = eventCheck(events);
    this.#retention = retentionOf(retention);
  }

  async publish(
    topic: string,
    input: PublishedEvent | readonly PublishedEvent[],
    options: PublishOptions = {},
  ): Promise<string | string[]> {
    assertTopic(topic);
    assertOptions("options", options, PUBLISH_NAMES);
    const { expectLast, publishId, finish = false, retention, unchecked = false } = options;
    assertPublishId(publishId);
    const inputs = Array.isArray(input) ? (input as readonly PublishedEvent[]) : undefined;
    const now = Date.now();
    const events = storedEvents(inputs ?? [input as PublishedEvent], this.#maxEventBytes, now);
    const checking = unchecked ? undefined : this.#check?.(events);
    if (checking !== undefined) await checking;
    const live = this.#host.opened ?? (await this.#host.live());
    const ids = await this.#append(live, topic, {
      events,
      mark: finish ? "finish" : undefined,
      expectLast: sequenceExpected(live, topic, expectLast),
      publishId,
      now,
      ...(retention !== undefined && { retention: limitsOfRetention(retention) }),
    });
    const held = live.pressure(topic);
    if (held !== undefined) await held;
    return inputs === undefined ? (ids[0] as string) : ids.slice(0, events.length);
  }

  async finish(topic: string): Promise<string> {
    assertTopic(topic);
    const ids = await this.#append(await this.#host.live(), topic, { mark: "finish" });
    return ids.at(-1) as string;
  }

  async delete(topic: string): Promise<void> {
    assertTopic(topic);
    await this.#append(await this.#host.live(), topic, { mark: "delete" });
  }

  /** Resolves to the positions of the events, then the mark's. */
  async #append(
    live: Live,
    topic: string,
    request: Partial<AppendRequest> & { events?: readonly StoredEvent[] },
  ): Promise<string[]> {
    if (live.closed) throw hubClosed();
    const { meter } = this.#host;
    const start = meter.appendStart;
    const result = await live.connection.append({
      topic,
      events: [],
      mark: undefined,
      expectLast: undefined,
      publishId: undefined,
      publishIdWindowMs: PUBLISH_ID_WINDOW_MS,
      retention: this.#retention(topic),
      now: Date.now(),
      ...request,
    });
    if (!result.accepted) throw refused(topic, result.reason);
    if (!result.repeated) meter.published(topic, request.events ?? [], start);
    const { sequences, epoch } = result;
    return sequences.map((sequence) =>
      epoch === undefined ? live.epochs.format(sequence) : formatPosition(epoch, sequence),
    );
  }
}

/** What `expectLast` means to the log. */
function sequenceExpected(
  live: Live,
  topic: string,
  expectLast: string | null | undefined,
): number | null | undefined {
  if (expectLast === undefined || expectLast === null) return expectLast;
  const cursor = typeof expectLast === "string" ? live.epochs.resolve(expectLast) : "invalid";
  if (typeof cursor === "number") return cursor;
  // What the caller has seen is gone: the topic is not what it was.
  if (cursor === "epoch") throw refused(topic, "conflict");
  throw noPosition("expectLast", expectLast);
}

function refused(topic: string, reason: "finished" | "conflict"): EverstreamError {
  const name = JSON.stringify(topic);
  if (reason === "finished") {
    return new EverstreamError(
      "TOPIC_FINISHED",
      `The topic ${name} is finished; nothing can be published to it.`,
    );
  }
  return new EverstreamError(
    "CONFLICT",
    `The topic ${name} has moved on since the expected position; read what is new and decide again.`,
  );
}
