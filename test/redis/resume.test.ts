import { redisLog } from "everstream/redis";
import { describeResume } from "../brokers/resume.ts";
import { isPush, startWorld } from "./world.ts";

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describeResume({
  name: "Redis",
  async start() {
    const { redis, ...world } = await startWorld();
    return { ...world, broker: redis };
  },
  log: (port) => redisLog({ url: `redis://127.0.0.1:${port}`, checkInterval: 100, timeout: 3000 }),
  more: [
    async ({ proxy }, ms) => {
      let left = 3;
      proxy.loses = (chunk) => isPush(chunk) && left-- > 0;
      await pause(ms);
      proxy.loses = undefined;
    },
  ],
});
