// Has the suites of runs that are imported behind this one stand on a nats-server of theirs.
import { natsLog } from "everstream/nats";
import { REMOTE_LEASE_MS, standOn } from "../runs/nodes.ts";
import { freshName, natsForTests, PATIENCE_MS } from "./fixture.ts";

const nats = natsForTests();

// Kept in memory alone, as on Redis: nothing here is about the disk.
standOn(
  () => natsLog({ servers: nats.server.url, name: freshName(), timeout: PATIENCE_MS, storage: "memory" }),
  REMOTE_LEASE_MS,
);
