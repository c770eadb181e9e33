// A NATS cluster with a proxy in front of one of its servers, and hubs on a stream with three replicas.
import { createHub, type Hub } from "everstream";
import { type NatsLogOptions, natsLog } from "everstream/nats";
import { onTestFinished } from "vitest";
import type { BrokerWorld } from "../brokers/faults.ts";
import { type NatsCluster, startNatsCluster } from "../brokers/nats-cluster.ts";
import type { NatsServer } from "../brokers/nats-server.ts";
import { tcpProxy } from "../brokers/tcp-proxy.ts";

export interface ClusterWorld extends BrokerWorld {
  readonly cluster: NatsCluster;
  /** A hub that goes through the proxy, and past it to others where it finds nobody there. */
  hub(options?: NatsLogOptions): Hub;
  /** A hub that goes to any of the servers. */
  nearHub(options?: NatsLogOptions): Hub;
}

/** Soon missed; and with time for two elections, one after the other, each of which may take a minute. */
export const CLUSTER_OPTIONS: NatsLogOptions = {
  replicas: 3,
  checkInterval: 500,
  heartbeat: 500,
  timeout: 150_000,
};

/** The proxied server, and the others: one that was just started may be of no use for a while. */
export function farServers({ proxy, cluster }: Pick<ClusterWorld, "proxy" | "cluster">): string[] {
  return [`127.0.0.1:${proxy.port}`, ...cluster.urls.slice(1)];
}

/** For one test, after which all of it is ended. What befalls its `broker` befalls the stream's leader. */
export async function startClusterWorld(): Promise<ClusterWorld> {
  const cluster = await startNatsCluster();
  const first = cluster.servers[0] as NatsServer;
  const proxy = await tcpProxy(first.port);
  const hubs: Hub[] = [];
  onTestFinished(async () => {
    await Promise.all(hubs.map((hub) => hub.close()));
    await proxy.close();
    await cluster.dispose();
  });
  const hubOn = (servers: string[], options: NatsLogOptions = {}): Hub => {
    const log = natsLog({ servers, ...CLUSTER_OPTIONS, ...options });
    const hub = createHub({ log, retention: { maxEvents: 1e6, maxBytes: 1e9 } });
    hubs.push(hub);
    return hub;
  };
  let leader = first;
  return {
    cluster,
    proxy,
    broker: {
      port: first.port,
      output: () => leader.output(),
      async kill() {
        leader = await cluster.leaderOf("everstream");
        await leader.kill();
      },
      start: () => leader.start(),
      pause: () => leader.pause(),
      resume: () => leader.resume(),
    },
    hub: (options) => hubOn(farServers({ proxy, cluster }), options),
    nearHub: (options) => hubOn(cluster.urls, options),
  };
}
