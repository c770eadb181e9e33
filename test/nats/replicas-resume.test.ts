import { natsLog } from "everstream/nats";
import { describeResume } from "../brokers/resume.ts";
import { CLUSTER_OPTIONS, type ClusterWorld, farServers, startClusterWorld } from "./cluster-world.ts";

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
  more: [
    // The leader is away until another one leads.
    async ({ broker }) => {
      await broker.kill();
      await world.cluster.leaderOf("everstream");
      await broker.start();
    },
  ],
});
