// Has the suites of runs that are imported behind this one stand on a redis-server of theirs.
import { redisLog } from "everstream/redis";
import { REMOTE_LEASE_MS, standOn } from "../runs/nodes.ts";
import { freshName, PATIENCE_MS, sharedRedis } from "./fixture.ts";

const server = sharedRedis(["--appendonly", "no"]);

standOn(
  () => redisLog({ url: server.current.url, name: freshName(), timeout: PATIENCE_MS }),
  REMOTE_LEASE_MS,
);
