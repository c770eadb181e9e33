// A user's connection that a test listens to, and that loses or holds back what the test wants.
import {
  connect as connectNats,
  type NatsConnection,
  type NodeConnectionOptions,
} from "@nats-io/transport-node";
import { onTestFinished } from "vitest";
import type { NatsServer } from "../brokers/nats-server.ts";

export interface Lossy {
  readonly connection: NatsConnection;
  /** Whether to lose this message. */
  loses: (subject: string, text: string) => boolean;
  readonly lost: string[];
  /** Whether to hold this message, which came to this subscription, back until it is released. */
  holds: (subject: string, subscription: string) => boolean;
  /** What is held back: each is to be called to let it through. */
  readonly held: (() => void)[];
  /** How often each subject was subscribed to. */
  readonly subscribed: Map<string, number>;
  /** What is subscribed to now. */
  open(): string[];
  /** What was published: the subject, and the payload where it is a text. */
  readonly sent: string[];
  /** How often the connection's status was asked for. */
  watched: number;
}

/** For one test, after which the connection is closed. */
export async function lossy(
  { url }: Pick<NatsServer, "url">,
  options: NodeConnectionOptions = {},
): Promise<Lossy> {
  // However long a server takes to be back.
  const real = await connectNats({ maxReconnectAttempts: -1, ...options, servers: url });
  onTestFinished(() => real.close());
  const subscriptions = new Map<{ isClosed(): boolean }, string>();
  const own: Partial<NatsConnection> = {
    subscribe(subject, options) {
      wire.subscribed.set(subject, (wire.subscribed.get(subject) ?? 0) + 1);
      const { callback } = options ?? {};
      const subscription = real.subscribe(subject, {
        ...options,
        callback(error, message) {
          const text = error === null ? message.string() : "";
          if (error !== null) void callback?.(error, message);
          else if (wire.loses(message.subject, text)) wire.lost.push(text);
          else if (wire.holds(message.subject, subject))
            wire.held.push(() => void callback?.(error, message));
          else void callback?.(error, message);
        },
      });
      subscriptions.set(subscription, subject);
      return subscription;
    },
    publish(subject, payload, options) {
      wire.sent.push(typeof payload === "string" ? `${subject} ${payload}` : subject);
      real.publish(subject, payload, options);
    },
    status() {
      wire.watched++;
      return real.status();
    },
  };
  const connection = new Proxy(real, {
    get(target, name) {
      if (name in own) return own[name as keyof NatsConnection];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const wire: Lossy = {
    connection,
    loses: () => false,
    lost: [],
    holds: () => false,
    held: [],
    subscribed: new Map(),
    open: () => [...subscriptions].filter(([one]) => !one.isClosed()).map(([, subject]) => subject),
    sent: [],
    watched: 0,
  };
  return wire;
}
