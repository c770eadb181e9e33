// The hardest users of a log: the suites of runs, on NATS.
import "./runs-stand-on.ts";
import "../runs/lease.test.ts";
import "../runs/lifecycle.test.ts";
import "../runs/races.test.ts";
import "../runs/stop.test.ts";
import "../runs/writer.test.ts";
