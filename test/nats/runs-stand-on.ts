// Has the suites of runs that are imported behind this one stand on a nats-server of theirs.
import { natsLog } from "everstream/nats";
import { REMOTE_LEASE_MS, standOn } from "../runs/nodes.ts";
import { freshName, natsForTests, PATIENCE_MS } from "./fixture.ts";

const nats = natsForTests();

standOn(
  () => natsLog({ servers: nats.server.url, name: freshName(), timeout: PATIENCE_MS }),
  REMOTE_LEASE_MS,
);
