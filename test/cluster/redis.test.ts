import { startRedis } from "../brokers/redis-server.ts";
import { clusterSuite } from "./suite.ts";

clusterSuite("Redis", startRedis);
