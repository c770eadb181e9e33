// The cases that also run in other runtimes and in browsers, here in Node: the client against everything that a server and a
// network can do wrong.
import { coreCases, lag, runCase } from "../platforms/cases.ts";
import { leavingCases } from "../platforms/stream-cases.ts";
import { describeCases, describeLag, describeLeaving } from "../platforms/suite.ts";

describeCases("Node", coreCases, runCase);
describeLeaving("Node", leavingCases, runCase);
describeLag("Node", lag);
