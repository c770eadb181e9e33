// A NATS cluster of the tests' own: three servers, JetStream on each.
import { connect } from "@nats-io/transport-node";
import { freePort } from "./child.ts";
import { type NatsServer, startNats } from "./nats-server.ts";

export interface NatsCluster {
  readonly servers: readonly NatsServer[];
  readonly urls: readonly string[];
  /** The server that leads this stream now, by the word of those that run. */
  leaderOf(stream: string): Promise<NatsServer>;
  dispose(): Promise<void>;
}

const SIZE = 3;

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
      const admin = await connect({ servers: urls });
      try {
        for (;;) {
          const info = (await admin.request(`$JS.API.STREAM.INFO.${stream}`)).json<StreamAnswer>();
          const index = servers.findIndex((_, each) => nameOf(each) === info.cluster?.leader);
          if (index !== -1) return servers[index] as NatsServer;
        }
      } finally {
        await admin.close();
      }
    },
    async dispose() {
      await Promise.all(servers.map((server) => server.dispose()));
    },
  };
}

interface StreamAnswer {
  readonly cluster?: { readonly leader?: string };
}
