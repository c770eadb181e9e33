import type {
  AppendRequest,
  AppendResult,
  Epoch,
  LogConnection,
  LogFeed,
  Page,
  ReadQuery,
  TopicState,
} from "../../hub/log.ts";
import { kindOf } from "./client.ts";
import { closedError, redisError } from "./failure.ts";
import { hashesOf, Lane } from "./lane.ts";
import { Mailbox } from "./mailbox.ts";
import type { RedisSettings } from "./options.ts";
import { parseEntries } from "./record.ts";
import { APPEND } from "./script-append.ts";
import type { Script } from "./script-parts.ts";
import { READ } from "./script-read.ts";
import { CHECK, EXPIRE, FOLLOW, JOIN, LEAVE, MARK, PROBE } from "./scripts.ts";
import { assertSuitable } from "./suitable.ts";
import { persist } from "./timing.ts";
import { Writer } from "./writer.ts";

const SCRIPTS = [APPEND, CHECK, EXPIRE, FOLLOW, JOIN, LEAVE, MARK, PROBE, READ];
/** How many calls one `expire` makes at the most. */
const MAX_EXPIRE_CALLS = 10;

/**
 * A hub's connection to a Redis log: one connection that writes, one for all else, and one that is pushed to. So what is
 * published does not wait behind what is read, and replicas are waited for without holding anybody else up.
 */
export class RedisLogConnection implements LogConnection {
  readonly exclusive = false;
  readonly #settings: RedisSettings;
  readonly #lane: Lane;
  readonly #mailbox: Mailbox;
  readonly #writer: Writer;
  #openedWith: readonly Epoch[] = [];
  #head = 0;
  #closing: Promise<void> | undefined;

  static async open(settings: RedisSettings, feed: LogFeed): Promise<RedisLogConnection> {
    const hashes = await hashesOf(SCRIPTS);
    const lanes: Lane[] = [];
    try {
      const { timeoutMs } = settings;
      while (lanes.length < 3) lanes.push(new Lane(settings, hashes));
      const [first] = lanes as [Lane];
      await Promise.all(lanes.map((lane) => lane.ready(timeoutMs)));
      const mode = await persist(timeoutMs, never, () =>
        assertSuitable(settings, first, kindOf(settings.client), offer),
      );
      const connection = new RedisLogConnection(settings, feed, lanes as [Lane, Lane, Lane], mode);
      connection.#head = await connection.#mailbox.open();
      connection.#openedWith = connection.#mailbox.epochs;
      return connection;
    } catch (error) {
      for (const lane of lanes) lane.close();
      throw redisError("be opened as a log", error);
    }
  }

  private constructor(
    settings: RedisSettings,
    feed: LogFeed,
    [lane, writing, listener]: readonly [Lane, Lane, Lane],
    mode: "s" | "p" | "c",
  ) {
    this.#settings = settings;
    this.#lane = lane;
    const node = randomName();
    const mailbox: Mailbox = new Mailbox({
      settings,
      feed,
      lane,
      listener,
      node,
      mode,
      offer,
      firstOpenCall: () => writer.firstOpenCall,
    });
    const writer: Writer = new Writer({
      settings,
      lane: writing,
      node,
      get epochs() {
        return mailbox.epochs;
      },
      get epoch() {
        return mailbox.epoch;
      },
      offer,
      lost: () => mailbox.lost(),
      told: (epoch, withinMs) => mailbox.told(epoch, withinMs),
    });
    this.#mailbox = mailbox;
    this.#writer = writer;
  }

  get epochs(): readonly Epoch[] {
    return this.#openedWith;
  }

  get head(): number {
    return this.#head;
  }

  append(request: AppendRequest): Promise<AppendResult> {
    return this.#writer.append(request);
  }

  async read({ topics, after, maxEntries, maxBytes }: ReadQuery): Promise<Page> {
    const { epoch } = this.#mailbox;
    const [mode, value] = typeof after === "number" ? ["after", after] : ["last", after.last];
    const args = [
      mode,
      String(value),
      String(maxEntries),
      String(Math.min(maxBytes, Number.MAX_SAFE_INTEGER)),
    ];
    const answer = await this.#call("read", READ, epoch, [...args, ...topics]);
    const [begin, through, head, states, entries] = answer as [string, string, string, string, string];
    return {
      after: Number(begin),
      through: Number(through),
      head: Number(head),
      topics: states === "" ? [] : states.split("\n").map(parseState),
      entries: parseEntries(entries, topics),
    };
  }

  follow(topic: string): Promise<number> {
    return this.#closing === undefined ? this.#mailbox.follow(topic) : Promise.reject(closedError());
  }

  unfollow(topic: string): void {
    this.#mailbox.unfollow(topic);
  }

  async expire(now: number): Promise<void> {
    for (let calls = 0; calls < MAX_EXPIRE_CALLS; calls++) {
      const { epoch } = this.#mailbox;
      try {
        const [more] = await this.#call("expire events", EXPIRE, epoch, [String(now)]);
        if (more !== "1") return;
      } catch (error) {
        // In a new epoch it is called again soon.
        if (epoch === this.#mailbox.epoch) throw error;
        return;
      }
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#writer.close();
    // What the writer still waits for ends with the mailbox.
    await this.#mailbox.close();
    await this.#writer.ended();
  }

  /** Runs a script that goes by an epoch, again where that helps, until the time is over. */
  async #call(work: string, script: Script, epoch: string, args: readonly string[]): Promise<string[]> {
    const { timeoutMs, patienceMs } = this.#settings;
    const isClosed = (): boolean => this.#closing !== undefined;
    try {
      return await persist(timeoutMs, isClosed, async (leftMs) => {
        if (isClosed()) throw closedError();
        if (!this.#lane.isReady) await this.#lane.ready(leftMs);
        const [status, ...answer] = await this.#lane.run(script, [epoch, offer(), ...args], patienceMs);
        if (status === "OK" && epoch === this.#mailbox.epoch) return answer;
        if (status !== "OK") {
          this.#mailbox.lost();
          await this.#mailbox.told(epoch, leftMs);
        }
        throw redisError(work, "another epoch of the log has begun meanwhile; ask again");
      });
    } catch (error) {
      throw isClosed() ? closedError() : redisError(work, error);
    }
  }
}

const never = (): boolean => false;

function parseState(line: string): TopicState {
  const [first, last, trimmedThrough, deleted, finishedAt] = line.split(" ").map(Number) as [
    number,
    number,
    number,
    number,
    number,
  ];
  return { first, last, trimmedThrough, deleted: deleted === 1, finishedAt };
}

/** A number for a new epoch: short, and not likely to be that of another. */
function offer(): string {
  return String((crypto.getRandomValues(new Uint32Array(1))[0] as number) + 1);
}

function randomName(): string {
  return [...crypto.getRandomValues(new Uint8Array(9))]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}
