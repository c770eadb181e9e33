// What a cluster promises, on whatever broker: several node processes, each of which may be killed.
import { afterAll, beforeAll, describe } from "vitest";
import { brokerFaultCases } from "./broker-faults.ts";
import { endToEndCases } from "./end-to-end.ts";
import { eventCases } from "./events.ts";
import { type Broker, type ClusterNode, startCluster, type TestCluster } from "./nodes.ts";
import { runCases } from "./runs.ts";

type ThreeNodes = readonly [ClusterNode, ClusterNode, ClusterNode];

/** Three nodes that nobody kills, and what starts more. There once the tests begin. */
export type Started = () => { readonly cluster: TestCluster; readonly nodes: ThreeNodes };

/** Registers all cases for a kind of broker, whose server `start` starts. */
export function clusterSuite(kind: string, start: () => Promise<Broker>): void {
  describe(`a cluster on ${kind}`, () => {
    let cluster: TestCluster;
    let nodes: ThreeNodes;
    beforeAll(async () => {
      cluster = await startCluster(await start());
      nodes = (await cluster.add(3)) as [ClusterNode, ClusterNode, ClusterNode];
    }, 120_000);
    afterAll(() => cluster.dispose());
    const started = () => ({ cluster, nodes });

    describe("events", () => eventCases(started));
    // Most of it is waiting for leases to be over.
    describe.concurrent("runs", () => runCases(started));
    describe("while the broker fails", () => brokerFaultCases(started));
    describe("end to end", () => endToEndCases(start));
  });
}
