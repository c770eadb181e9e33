// The checker of everything that befalls nodes and clients, on a stream with three replicas, whose leaders are killed all the time.
import { natsLog } from "everstream/nats";
import { describeResume } from "../brokers/resume.ts";
import { scale } from "../resume/seed.ts";
import { CLUSTER_OPTIONS, type ClusterWorld, farServers, startClusterWorld } from "./cluster-world.ts";

/** An election of nats-server 2.9's takes from 4 s to a minute: a server that can't win it puts off those that can by asking for votes. */
const TIMEOUT_MS = 600_000 * scale;
/** How long a dead leader is left dead: two that don't vote for each other wait for the third. */
const LEADERLESS_MS = 30_000;

let world: ClusterWorld;

describeResume({
  name: "a NATS cluster",
  async start() {
    world = await startClusterWorld();
    return world;
  },
  log: (port) => {
    const servers = port === world.proxy.port ? farServers(world) : world.cluster.urls;
    return natsLog({ servers, ...CLUSTER_OPTIONS, checkInterval: 100, heartbeat: 100 });
  },
  // The leader is away until another one leads.
  more: [
    async ({ broker }) => {
      await broker.kill();
      const next = world.cluster.leaderOf("everstream").catch(() => undefined);
      await Promise.race([next, new Promise((resolve) => setTimeout(resolve, LEADERLESS_MS))]);
      await broker.start();
    },
  ],
  between: 20,
  timeoutMs: TIMEOUT_MS,
});
