import { itAnswersAsMemory } from "../logs/model.ts";
import { redisFixture, sharedRedis } from "./fixture.ts";

const server = sharedRedis(["--appendonly", "no"]);

itAnswersAsMemory("the log in Redis", redisFixture(server));
