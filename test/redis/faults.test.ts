// What befalls a redis-server, and what becomes of a log whose data is lost.
import { expect, it, onTestFinished, vi } from "vitest";
import { describeFaults } from "../brokers/faults.ts";
import { describeLosses } from "../brokers/losses.ts";
import { startLossyWorld } from "./world.ts";

describeFaults("redis-server", startLossyWorld);
describeLosses("redis-server", startLossyWorld);

it("an epoch's number is not taken by a later one, even where chance would have it so", async () => {
  const real = crypto.getRandomValues.bind(crypto);
  const chance = vi
    .spyOn(crypto, "getRandomValues")
    .mockImplementation((array) => (array instanceof Uint32Array ? array.fill(41) : real(array)));
  onTestFinished(() => chance.mockRestore());
  const { broker, hub } = await startLossyWorld();
  const ids: string[] = [];
  for (let round = 0; round < 4; round++) {
    const node = hub();
    ids.push(await node.publish("t", { data: round }));
    await node.close();
    await broker.kill();
    await broker.start();
  }
  expect(ids).toEqual([42, 43, 44, 45].map((epoch, round) => `${epoch.toString(36)}-${round + 1}`));
});
