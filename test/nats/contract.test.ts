import { describeLog } from "../logs/contract.ts";
import { describeHubOver } from "../logs/hub-contract.ts";
import { natsFixture, natsForTests } from "./fixture.ts";

const nats = natsForTests();

describeLog("natsLog", natsFixture(nats));
describeHubOver("natsLog", natsFixture(nats));
