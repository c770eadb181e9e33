import { describeLog } from "../logs/contract.ts";
import { describeHubOver } from "../logs/hub-contract.ts";
import { redisFixture, sharedRedis } from "./fixture.ts";

// Kept in memory alone: the contract asks nothing of the disk, and others measure on this one meanwhile.
const server = sharedRedis(["--appendonly", "no"]);

describeLog("redisLog", redisFixture(server));
describeHubOver("redisLog", redisFixture(server));
