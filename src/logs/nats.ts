import type { NodeConnectionOptions } from "@nats-io/transport-node";
import type { EventLog } from "../hub/log.ts";
import { NatsConnection } from "./nats/connection.ts";
import { OwnDialer, SharedDialer } from "./nats/dialer.ts";
import { type NatsLogOptions, settingsOf } from "./nats/options.ts";

export type { NatsLogOptions } from "./nats/options.ts";

/**
 * A log in a stream of NATS JetStream (server 2.9 or later; the package `@nats-io/transport-node`, to be installed beside
 * this one), for hubs of many processes and machines.
 *
 * @throws EverstreamError `INVALID_OPTION`.
 */
export function natsLog(options: NatsLogOptions = {}): EventLog {
  const settings = settingsOf(options);
  const { connection, servers, connect } = options;
  return {
    open(feed) {
      const own: NodeConnectionOptions = {
        ...connect,
        servers: typeof servers === "string" ? servers : [...(servers ?? ["127.0.0.1:4222"])],
      };
      const dialer =
        connection === undefined ? new OwnDialer(own, settings) : new SharedDialer(connection, settings);
      return NatsConnection.open(settings, dialer, feed);
    },
  };
}
