// What runs are kept with, by itself: moments that no test over several processes comes to at will.
import { createHub, EverstreamError } from "everstream";
import { describe, expect, it } from "vitest";
import { ABANDONED } from "../../src/runs/names.ts";
import { runsSettings } from "../../src/runs/options.ts";
import { Snapshots } from "../../src/runs/snapshots.ts";
import { endFor } from "../../src/runs/take-over.ts";

describe("a snapshot that somebody else's event has thwarted", () => {
  it("is tried again some events later, not with the next", async () => {
    let tries = 0;
    const snapshots = new Snapshots(async () => {
      tries++;
      throw new EverstreamError("CONFLICT", "The topic has moved on.");
    });
    const publish = async (events: number): Promise<void> => {
      for (let event = 0; event < events; event++) snapshots.noteEvent();
      await snapshots.publish(async () => "1-1");
    };
    await publish(1000);
    // Each waits for the snapshot that is under way.
    for (let times = 0; times < 10; times++) await publish(1);
    expect(tries).toBe(1);
    await publish(10);
    await publish(1);
    expect(tries).toBe(2);
  });
});

describe("the end of a run that has lost its producer", () => {
  it("is left as it is where it is there already", async () => {
    const hub = createHub();
    await hub.publish("run:a", { type: "run", data: {} });
    await hub.publish("run:a", { type: "done", data: {} }, { finish: true });
    await endFor(hub, "run:a", runsSettings({ hub }), Date.now(), ABANDONED);
    expect((await hub.read("run:a")).events.map(({ type }) => type)).toEqual(["run", "done"]);
    await hub.close();
  });
});
