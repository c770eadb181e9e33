// A NATS cluster of the tests' own: three servers, JetStream on each.
import { connect } from "@nats-io/transport-node";
import { freePort } from "./child.ts";
import { type NatsServer, startNats } from "./nats-server.ts";

export interface NatsCluster {
  readonly servers: readonly NatsServer[];
  readonly urls: string[];
  /** The server that leads this stream now, by the word of those that run. */
  leaderOf(stream: string): Promise<NatsServer>;
  dispose(): Promise<void>;
}

const SIZE = 3;
/** How long a stream may be without a leader, on a machine that has other work. */
const LEADER_LIMIT_MS = 60_000;

export async function startNatsCluster(): Promise<NatsCluster> {
  const ports = await Promise.all(Array.from({ length: SIZE }, freePort));
  const routes = ports.map((port) => `nats://127.0.0.1:${port}`);
  const nameOf = (index: number): string => `server-${index}`;
  const servers = await Promise.all(
    routes.map((route, index) =>
      startNats({
        args: [
          ...["--server_name", nameOf(index), "--cluster_name", "tests"],
          ...["--cluster", route, "--routes", routes.join(",")],
        ],
      }),
    ),
  );
  const urls = servers.map(({ url }) => url);
  return {
    servers,
    urls,
    async leaderOf(stream) {
      for (const until = performance.now() + LEADER_LIMIT_MS; performance.now() < until; ) {
        const leader = await leaderOf(stream, urls);
        const index = servers.findIndex((_, each) => nameOf(each) === leader);
        if (index !== -1) return servers[index] as NatsServer;
      }
      throw new Error(`Nobody leads the stream ${stream}.`);
    },
    async dispose() {
      await Promise.all(servers.map((server) => server.dispose()));
    },
  };
}

/** The name of the stream's leader, or nothing where nobody says it at the moment. */
async function leaderOf(stream: string, servers: string[]): Promise<string | undefined> {
  const admin = await connect({ servers, reconnect: false, timeout: 2000 });
  try {
    const info = await admin.request(`$JS.API.STREAM.INFO.${stream}`, "", { timeout: 1000 });
    return info.json<{ readonly cluster?: { readonly leader?: string } }>().cluster?.leader;
  } catch {
    return undefined;
  } finally {
    await admin.close();
  }
}
