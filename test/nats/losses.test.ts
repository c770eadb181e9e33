// A nats-server whose data is lost: the stream deleted, or an older copy of the folder put back.
import { cp, rm } from "node:fs/promises";
import { connect } from "@nats-io/transport-node";
import { natsLog } from "everstream/nats";
import { onTestFinished } from "vitest";
import { describeLosses, type LossyWorld } from "../brokers/losses.ts";
import { describeLossyResume } from "../brokers/lossy-resume.ts";
import { startWorld } from "./world.ts";

async function startLossyWorld(): Promise<LossyWorld> {
  const { nats, ...world } = await startWorld();
  const copies = `${nats.folder}-copies`;
  onTestFinished(() => rm(copies, { recursive: true, force: true }));
  let made = 0;
  return {
    ...world,
    broker: nats,
    async empty() {
      const admin = await connect({ servers: nats.url });
      await admin.request("$JS.API.STREAM.DELETE.everstream");
      await admin.close();
    },
    async copy() {
      const copy = `${copies}/${++made}`;
      await nats.stop();
      await cp(nats.folder, copy, { recursive: true });
      await nats.start();
      return async () => {
        await nats.kill();
        await rm(nats.folder, { recursive: true });
        await cp(copy, nats.folder, { recursive: true });
        await nats.start();
      };
    },
  };
}

describeLosses("nats-server", startLossyWorld);
describeLossyResume({
  name: "NATS",
  start: startLossyWorld,
  log: (port) => natsLog({ servers: `127.0.0.1:${port}`, checkInterval: 100, heartbeat: 100, timeout: 1500 }),
});
