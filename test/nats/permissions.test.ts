// What a NATS user may not do is said by its name, at once, and holds up nothing else.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { natsLog } from "everstream/nats";
import { describe, expect, it, onTestFinished } from "vitest";
import { dataFolder } from "../brokers/folder.ts";
import { startNats } from "../brokers/nats-server.ts";
import { openNode } from "../logs/contract.ts";
import { type Lossy, lossy } from "./lossy.ts";

interface Allowed {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

/** What docs/nats.md says that the log "log" needs. */
const NEEDED: Allowed = {
  publish: ["$JS.API.>", "$JS.FC.>", "es.log.>"],
  subscribe: ["_INBOX.>", "es-live.log.>"],
};
const SILENT_MS = 60_000;

/** Starts a server that has these users, each with the password "p". */
async function serverFor(users: Readonly<Record<string, Allowed>>): Promise<string> {
  const folder = await dataFolder("nats-conf");
  onTestFinished(folder.remove);
  const file = join(folder.path, "nats.conf");
  const authorization = {
    users: Object.entries(users).map(([user, { publish, subscribe }]) => ({
      user,
      password: "p",
      permissions: { publish: { allow: publish }, subscribe: { allow: subscribe } },
    })),
  };
  await writeFile(file, JSON.stringify({ authorization }));
  const server = await startNats({ args: ["--config", file] });
  onTestFinished(() => server.dispose());
  return server.url;
}

/** So long that whoever waits for it to be over fails the test. */
const logOf = (url: string, user: string) =>
  natsLog({ servers: url, name: "log", timeout: SILENT_MS, connect: { user, pass: "p" } });

const clocksOf = ({ subscribed }: Lossy): number =>
  [...subscribed.keys()].filter((subject) => subject.endsWith(".clock.x")).length;

const refused = (subject: string) => ({
  code: "LOG_UNSUITABLE",
  message: expect.stringContaining(subject) as string,
});

describe("a user who may not do what the log needs is told which permission is missing", () => {
  it("where the log opens, and needs no more than it says", async () => {
    const url = await serverFor({
      all: NEEDED,
      mute: { ...NEEDED, publish: ["$JS.API.>", "$JS.FC.>"] },
      stranger: { ...NEEDED, publish: ["es.log.>"] },
    });
    await expect(openNode(logOf(url, "mute"))).rejects.toMatchObject(refused("es.log."));
    await expect(openNode(logOf(url, "stranger"))).rejects.toMatchObject(refused("$JS.API."));
    const node = await openNode(logOf(url, "all"));
    await node.follow("t");
    const [sequence] = await node.append("t", ["1"], { publishId: "p" });
    await node.fed(sequence as number);
    expect((await node.read(["t"])).entries).toHaveLength(1);
    await node.connection.close();
  });

  it("where a topic is followed that is not pushed to it, while others go on over the same connection", async () => {
    const url = await serverFor({
      partly: { ...NEEDED, subscribe: ["_INBOX.>", "es-live.log.*.open"] },
    });
    const wire = await lossy({ url }, { user: "partly", pass: "p" });
    const node = await openNode(natsLog({ connection: wire.connection, name: "log", timeout: SILENT_MS }));
    await node.follow("open");
    for (let time = 0; time < 2; time++) {
      await expect(node.follow("secret")).rejects.toMatchObject(refused("es-live.log."));
    }
    const [sequence] = await node.append("open", ["1"]);
    await node.fed(sequence as number);
    expect(node.entries.map(({ topic }) => topic)).toEqual(["open"]);
    expect(clocksOf(wire)).toBe(1);
    await node.connection.close();
  });

  it("where it publishes to a topic that it may not, while others go on over the same connection", async () => {
    const url = await serverFor({
      partly: { ...NEEDED, publish: ["$JS.API.>", "$JS.FC.>", "es.log.*.epoch", "es.log.*.t.open"] },
    });
    const wire = await lossy({ url }, { user: "partly", pass: "p" });
    const node = await openNode(natsLog({ connection: wire.connection, name: "log", timeout: SILENT_MS }));
    const others = Promise.all(["1", "2", "3"].map((text) => node.append("open", [text])));
    await expect(node.append("closed", ["x"])).rejects.toMatchObject(refused("es.log."));
    await others;
    await node.append("open", ["4"]);
    expect((await node.read(["open", "closed"])).entries).toHaveLength(4);
    expect(clocksOf(wire)).toBe(1);
    await node.connection.close();
  });
});
