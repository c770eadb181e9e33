import { natsLog } from "everstream/nats";
import { describeResume } from "../brokers/resume.ts";
import { startWorld } from "./world.ts";

describeResume({
  name: "NATS",
  async start() {
    const { nats, ...world } = await startWorld();
    return { ...world, broker: nats };
  },
  log: (port) => natsLog({ servers: `127.0.0.1:${port}`, checkInterval: 100, heartbeat: 100, timeout: 3000 }),
});
