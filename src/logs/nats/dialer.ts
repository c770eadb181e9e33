import {
  connect,
  type NatsConnection,
  type NodeConnectionOptions,
  type Status,
} from "@nats-io/transport-node";
import { EverstreamError } from "../../errors.ts";
import { nextTurn } from "../next-turn.ts";
import {
  FAULT,
  failureOf,
  isFault,
  isPassing,
  JetStreamFault,
  logFailed,
  NobodyAnswers,
  noJetStream,
  unsuitable,
} from "./errors.ts";
import { Link } from "./link.ts";
import type { NatsSettings } from "./options.ts";
import { Session } from "./session.ts";
import { onStatus } from "./status.ts";

const OLDEST = [2, 9] as const;
/** What a server may take to answer a connection. One that is going down may never do so. */
const CONNECT_MS = 2000;
const SERVED_MS = 50;
/** What it may take until a server can say all about the stream: longer than a cluster's election, for then another one may. */
const MAX_OPEN_MS = 12_000;

/** How a log gets to its server: by connections of its own, or by one of the user's. */
export interface Dialer {
  /** A verified session over a new link, which takes the place of the one `before`. @throws EverstreamError `LOG_FAILED`, `LOG_UNSUITABLE`. */
  session(before: Session | undefined): Promise<Session>;
  close(): Promise<void>;
}

/**
 * Makes connections that never come back by themselves: what a connection still had to send when it was lost would
 * otherwise go to whichever server is there next, with whatever data, before anybody has looked.
 */
export class OwnDialer implements Dialer {
  readonly #options: NodeConnectionOptions;
  readonly #settings: NatsSettings;
  readonly #open = new Set<NatsConnection>();

  constructor(options: NodeConnectionOptions, settings: NatsSettings) {
    this.#settings = settings;
    this.#options = {
      name: `everstream ${settings.name}`,
      ...options,
      reconnect: false,
      waitOnFirstConnect: false,
      timeout: options.timeout ?? Math.min(settings.timeoutMs, CONNECT_MS),
      noAsyncTraces: true,
    };
  }

  async session(before: Session | undefined): Promise<Session> {
    let connection: NatsConnection;
    try {
      connection = await connect({ ...this.#options });
    } catch (error) {
      throw failureOf(error, "reach a server");
    }
    this.#open.add(connection);
    const link = new Link(connection, this.#settings);
    void connection.closed().then((error) => {
      this.#open.delete(connection);
      link.end(error instanceof Error ? error : new Error("the connection to the NATS server was lost"));
    });
    link.onEnd(() => void this.#letGo(connection));
    return openSession(link, this.#settings, before);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open].map((connection) => this.#letGo(connection)));
  }

  /**
   * Not at once: the library takes its ear from the socket when it closes. An error that is on its way to that socket,
   * as where the server hung up and there was still something to say, would then be everybody's and end the process.
   */
  async #letGo(connection: NatsConnection): Promise<void> {
    this.#open.delete(connection);
    await errorsHeard();
    try {
      await connection.close();
    } catch {
      // It is gone, which was the aim.
    }
  }
}

/** Uses a connection of the user's, which comes back by itself. */
export class SharedDialer implements Dialer {
  readonly #connection: NatsConnection;
  readonly #settings: NatsSettings;
  #link: Link | undefined;
  #isConnected = true;
  #leave: (() => void) | undefined;

  constructor(connection: NatsConnection, settings: NatsSettings) {
    this.#connection = connection;
    this.#settings = settings;
  }

  async session(before: Session | undefined): Promise<Session> {
    if (this.#connection.isClosed()) throw logFailed("The connection that natsLog was given is closed.");
    this.#leave ??= onStatus(this.#connection, (status) => this.#onStatus(status));
    if (!this.#isConnected || this.#connection.info === undefined) {
      throw logFailed("The connection that natsLog was given is not connected at the moment.");
    }
    const link = new Link(this.#connection, this.#settings);
    this.#link = link;
    return openSession(link, this.#settings, before);
  }

  async close(): Promise<void> {
    this.#leave?.();
    this.#link?.end(new Error("the log was closed"));
  }

  /** A connection that was lost ends the link, whatever server it finds next. */
  #onStatus({ type }: Status): void {
    if (type === "reconnect") this.#isConnected = true;
    if (type === "disconnect" || type === "close") {
      this.#isConnected = false;
      const what = type === "close" ? "closed" : "lost";
      this.#link?.end(new Error(`the connection to the NATS server was ${what}`));
    }
  }
}

/** Once all sockets have told of the errors that they have by now: they do so where the event loop closes handles. */
function errorsHeard(): Promise<void> {
  return new Promise((resolve) => nextTurn(() => setTimeout(resolve, 0)));
}

/** A link that does not lead to a session in time is ended. */
async function openSession(
  link: Link,
  settings: NatsSettings,
  before: Session | undefined,
): Promise<Session> {
  const openMs = Math.min(settings.timeoutMs, MAX_OPEN_MS);
  const silent = new Error(`the server did not answer within ${openMs} ms`);
  const timer = setTimeout(() => link.end(silent), openMs);
  try {
    checkServer(link.connection);
    return await openServed(link, settings, before);
  } catch (error) {
    // What ended the link says more than what that did to a question.
    const failure = failureOf(
      error instanceof EverstreamError ? error : (link.failure ?? error),
      "open its stream",
    );
    link.end(failure);
    throw failure;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * A server that is only beginning answers nobody for a moment, or that it can't yet; a stream may be made anew at this very
 * moment; and what leads a cluster may have died with the question.
 */
async function openServed(link: Link, settings: NatsSettings, before: Session | undefined): Promise<Session> {
  let refusal: unknown;
  for (;;) {
    try {
      return await Session.open(link, settings, before);
    } catch (error) {
      const isRefusal = error instanceof NobodyAnswers || error instanceof JetStreamFault;
      if (isRefusal) refusal = error;
      const { filterIsForeign, noPeers } = FAULT;
      if (!isPassing(error) && !isFault(error, filterIsForeign) && !isFault(error, noPeers)) throw error;
      await new Promise((resolve) => setTimeout(resolve, SERVED_MS));
      if (link.failure === undefined) continue;
      // The account may have no JetStream, though the server has.
      if (refusal instanceof NobodyAnswers) throw noJetStream(refusal);
      throw refusal === undefined ? error : failureOf(refusal, "open its stream");
    }
  }
}

function checkServer({ info }: NatsConnection): void {
  const [major = 0, minor = 0] = (info?.version ?? "").split(".").map(Number);
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
    throw unsuitable(`The NATS server is of the version ${info?.version}; the log needs 2.9 or later.`);
  }
  if (info?.headers !== true)
    throw unsuitable("The NATS server does not support headers; do not switch them off.");
  if (info.jetstream === false) throw noJetStream();
}
