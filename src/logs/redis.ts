import type { EventLog } from "../hub/log.ts";
import { RedisLogConnection } from "./redis/connection.ts";
import { type RedisLogOptions, redisSettings } from "./redis/options.ts";

export type { RedisClientLike, RedisLogOptions } from "./redis/options.ts";

/**
 * A log in Redis 6.2 or later, or Valkey (with the package `@redis/client`, to be installed beside this one), for hubs on
 * many machines: what any of them publishes, the readers of all of them get, in one order.
 *
 * An event is accepted when Redis has it, so that its promise is Redis' own: with `appendfsync always` it survives whatever
 * the disk survives; with `everysec` a crash may lose the last second; without an append-only file, everything since the
 * last snapshot. Replicas lag, unless `waitReplicas` says otherwise. What was lost is never passed over: where Redis is
 * another one than before, restarted, restored, emptied or failed over to, a new epoch of the log begins, and clients who had
 * seen more than it kept get `sse:gap` (`epoch`).
 *
 * While Redis can't be reached sessions stay open, and publishing waits or fails with `LOG_FAILED`, as `offline` and
 * `timeout` say. When it is back nodes fill from the log what they lack.
 *
 * `createHub`'s first use fails with `LOG_UNSUITABLE` where Redis refuses the user, is too old, lacks rights for the user, or is
 * set up to throw away events when memory is short.
 *
 * @throws EverstreamError `INVALID_OPTION`.
 */
export function redisLog(options: RedisLogOptions): EventLog {
  const settings = redisSettings(options);
  return { open: (feed) => RedisLogConnection.open(settings, feed) };
}
