import { startNats } from "../brokers/nats-server.ts";
import { clusterSuite } from "./suite.ts";

clusterSuite("NATS", startNats);
