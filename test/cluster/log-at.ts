import type { EventLog } from "everstream";
import { natsLog } from "everstream/nats";
import { redisLog } from "everstream/redis";

/** The log on the broker at `url`, with its options' defaults: what a cluster promises, it promises with these. */
export function logAt(url: string, name: string): EventLog {
  return url.startsWith("nats:") ? natsLog({ servers: url, name }) : redisLog({ url, name });
}
