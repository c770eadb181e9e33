// Has the suites of runs that are imported behind this one stand on a nats-server of theirs.
import { natsLog } from "everstream/nats";
import { standOn } from "../runs/nodes.ts";
import { freshName, natsForTests } from "./fixture.ts";

const nats = natsForTests();

standOn(() => natsLog({ servers: nats.server.url, name: freshName() }));
