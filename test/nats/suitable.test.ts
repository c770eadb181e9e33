// What can't be used says so at once, and what to change.
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { connect as connectNats } from "@nats-io/transport-node";
import { createHub, type EventLog } from "everstream";
import { type NatsLogOptions, natsLog } from "everstream/nats";
import { describe, expect, it, onTestFinished } from "vitest";
import { dataFolder } from "../brokers/folder.ts";
import { type NatsServer, startNats } from "../brokers/nats-server.ts";
import { openNode } from "../logs/contract.ts";
import { natsForTests } from "./fixture.ts";

const nats = natsForTests();

async function serverWith(options: Parameters<typeof startNats>[0]): Promise<NatsServer> {
  const server = await startNats(options);
  onTestFinished(() => server.dispose());
  return server;
}

async function failureOf(log: EventLog): Promise<{ code?: string; message?: string }> {
  try {
    const node = await openNode(log);
    await node.connection.close();
    return {};
  } catch (error) {
    return error as { code: string; message: string };
  }
}

async function api({ url }: NatsServer, call: string, question: unknown): Promise<void> {
  const admin = await connectNats({ servers: url });
  await admin.request(`$JS.API.${call}`, JSON.stringify(question));
  await admin.close();
}

/** A server that introduces itself so, and does nothing but answer pings. */
async function serverThatSays(info: object): Promise<string> {
  const server = createServer((socket) => {
    socket.write(`INFO ${JSON.stringify(info)}\r\n`);
    socket.on("data", (chunk) => String(chunk).includes("PING\r\n") && socket.write("PONG\r\n"));
    socket.on("error", () => undefined);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe("natsLog says of", () => {
  it("a server that can't be reached that it failed, within its time", async () => {
    // A port that is free now may be another test's in a moment; on this one nobody listens.
    const servers = "127.0.0.1:1";
    expect(await failureOf(natsLog({ servers, timeout: 1000 }))).toMatchObject({ code: "LOG_FAILED" });
    const hub = createHub({ log: natsLog({ servers, timeout: 1000 }) });
    await expect(hub.publish("t", { data: 1 })).rejects.toMatchObject({ code: "LOG_FAILED" });
    await hub.close();
  });

  it("a server without JetStream what it lacks", async () => {
    const { url } = await serverWith({ jetstream: false });
    const failure = await failureOf(natsLog({ servers: url }));
    expect(failure).toMatchObject({
      code: "LOG_UNSUITABLE",
      message: expect.stringContaining("--jetstream"),
    });
  });

  it("a server that is too old, or has no headers, what it needs", async () => {
    const info = { server_id: "A", version: "2.9.0", headers: true, jetstream: true, max_payload: 1_048_576 };
    for (const [version, isOld] of [
      ["1.4.1", true],
      ["2.8.4", true],
      ["2.9.0", false],
      ["2.10.0", false],
    ] as const) {
      const servers = await serverThatSays({ ...info, version });
      const failure = await failureOf(natsLog({ servers, timeout: isOld ? 30_000 : 1000 }));
      expect(failure).toMatchObject(
        isOld
          ? { code: "LOG_UNSUITABLE", message: expect.stringMatching(`${version}.* 2.9`) }
          : { code: "LOG_FAILED" },
      );
    }
    const servers = await serverThatSays({ ...info, headers: false });
    expect(await failureOf(natsLog({ servers }))).toMatchObject({
      code: "LOG_UNSUITABLE",
      message: expect.stringContaining("headers"),
    });
  });

  it("one server that several replicas need more", async () => {
    const failure = await failureOf(natsLog({ servers: nats.server.url, name: "copies", replicas: 2 }));
    expect(failure).toMatchObject({
      code: "LOG_UNSUITABLE",
      message: expect.stringContaining("replicas"),
    });
  });

  it("a server that asks for a password what to give it", async () => {
    const { url } = await serverWith({ args: ["--user", "u", "--pass", "secret"] });
    for (const connect of [{}, { user: "u", pass: "wrong" }]) {
      const failure = await failureOf(natsLog({ servers: url, connect }));
      expect(failure).toMatchObject({ code: "LOG_UNSUITABLE", message: expect.stringContaining("password") });
    }
    expect(await failureOf(natsLog({ servers: url, connect: { user: "u", pass: "secret" } }))).toEqual({});
  });

  it("a stream of somebody else's that it takes another name", async () => {
    await api(nats.server, "STREAM.CREATE.orders", { name: "orders", subjects: ["orders.>"] });
    const failure = await failureOf(natsLog({ servers: nats.server.url, name: "orders" }));
    expect(failure).toMatchObject({ code: "LOG_UNSUITABLE", message: expect.stringContaining("name") });
  });

  it("a stream that was changed what to change back", async () => {
    const options: NatsLogOptions = { servers: nats.server.url, name: "changed" };
    expect(await failureOf(natsLog(options))).toEqual({});
    const admin = await connectNats({ servers: nats.server.url });
    const { config } = JSON.parse((await admin.request("$JS.API.STREAM.INFO.changed")).string());
    await admin.request(
      "$JS.API.STREAM.UPDATE.changed",
      JSON.stringify({ ...config, max_age: 3600e9, discard: "old" }),
    );
    await admin.close();
    expect(await failureOf(natsLog(options))).toMatchObject({
      code: "LOG_UNSUITABLE",
      message: expect.stringMatching(/discard=new, max-age=0/),
    });
    expect(await failureOf(natsLog({ ...options, name: "kept", storage: "memory" }))).toEqual({});
    expect(await failureOf(natsLog({ ...options, name: "kept", storage: "file" }))).toMatchObject({
      code: "LOG_UNSUITABLE",
    });
    expect(await failureOf(natsLog({ ...options, name: "kept", replicas: 3 }))).toMatchObject({
      code: "LOG_UNSUITABLE",
    });
  });

  it("a stream that is full that nothing was dropped, and goes on once there is room", async () => {
    const node = await openNode(natsLog({ servers: nats.server.url, name: "full", maxBytes: 20_000 }));
    let stored = 0;
    const fill = async (): Promise<void> => {
      for (;;) {
        await node.append("t", ["x".repeat(1000)]);
        stored++;
      }
    };
    await expect(fill()).rejects.toMatchObject({
      code: "LOG_FAILED",
      message: expect.stringContaining("full"),
    });
    expect((await node.read(["t"])).entries).toHaveLength(stored);
    await node.connection.close();
  });

  it("a publish over the server's limit which limit that is, and stores nothing of it", async () => {
    const node = await openNode(natsLog({ servers: nats.server.url, name: "large" }));
    for (const text of ["x".repeat(2_000_000), "é".repeat(600_000)]) {
      await expect(node.append("t", ["a", text])).rejects.toMatchObject({
        code: "EVENT_TOO_LARGE",
        message: expect.stringContaining("1048576"),
      });
    }
    // Many that are too large together go one by one.
    await Promise.all(["a", "b", "c"].map((letter) => node.append("t", [letter.repeat(500_000)])));
    expect((await node.read(["t"])).entries.map(({ event }) => event.data[0]).sort()).toEqual([
      "a",
      "b",
      "c",
    ]);
    await node.connection.close();
  });

  it.each<[string, NatsLogOptions]>([
    ["name", { name: "a.b" }],
    ["name", { name: "" }],
    ["storage", { storage: "disk" as "file" }],
    ["replicas", { replicas: 0 }],
    ["timeout", { timeout: Number.NaN }],
    ["heartbeat", { heartbeat: 1 }],
    ["offline", { offline: "retry" as "wait" }],
    ["replicas", { replicas: 6 }],
    ["timeout", { timeout: Number.POSITIVE_INFINITY }],
    ["timeout", { timeout: 3e9 }],
    ["heartbeat", { heartbeat: 333.3 }],
    ["checkInterval", { checkInterval: Number.POSITIVE_INFINITY }],
    ["checkInterval", { checkInterval: 1 }],
    ["unfollowDelay", { unfollowDelay: 2 ** 31 }],
    ["sweepInterval", { sweepInterval: "60" as never }],
    ["maxPending", { maxPending: Number.NaN }],
    ["servers", { servers: 5 as never }],
    ["servers", { servers: [] }],
    ["servers", { servers: ["127.0.0.1", 4222 as never] }],
    ["servers", { servers: "nats://127.0.0.1:999999" }],
    ["servers", { servers: "two words" }],
    ["connect", { connect: "x" as never }],
    ["connect", { connect: null as never }],
    ["connection", { connection: {} as never, servers: "x" }],
    ["connection", { connection: {} as never }],
    ["connection", { connection: null as never }],
    ["apiPrefix", { apiPrefix: "$JS.>" }],
    ["inboxPrefix", { inboxPrefix: "my inbox" }],
  ])("an option that can't be which one: %s", (option, options) => {
    expect(() => natsLog(options)).toThrow(
      expect.objectContaining({ code: "INVALID_OPTION", message: expect.stringContaining(option) }),
    );
  });
});

describe("natsLog with JetStream in a domain of its own", () => {
  it("asks where `apiPrefix` says", async () => {
    const folder = await dataFolder("nats-domain");
    onTestFinished(folder.remove);
    const file = join(folder.path, "nats.conf");
    await writeFile(file, JSON.stringify({ jetstream: { domain: "far", store_dir: folder.path } }));
    const { url } = await serverWith({ jetstream: false, args: ["--config", file] });
    const [node, other] = await Promise.all(
      [1, 2].map(() => openNode(natsLog({ servers: url, apiPrefix: "$JS.far.API" }))),
    );
    await other?.follow("t");
    const sequences = [];
    for (let index = 0; index < 20; index++) sequences.push(...((await node?.append("t", ["x"])) ?? []));
    await other?.fed(sequences.at(-1) as number);
    expect((await other?.read(["t"]))?.entries.map(({ sequence }) => sequence)).toEqual(sequences);
    for (const each of [node, other]) await each?.connection.close();
    expect(
      await failureOf(natsLog({ servers: url, apiPrefix: "$JS.near.API", timeout: 4000 })),
    ).toMatchObject({ code: "LOG_UNSUITABLE" });
  });
});

describe("natsLog over a connection of the user's", () => {
  it("keeps its promises, and leaves it open", async () => {
    const connection = await connectNats({ servers: nats.server.url });
    const node = await openNode(natsLog({ connection, name: "shared" }));
    await node.follow("t");
    const [sequence] = await node.append("t", ["1"]);
    await node.fed(sequence as number);
    await node.connection.close();
    expect(connection.isClosed()).toBe(false);
    await connection.close();
    expect(await failureOf(natsLog({ connection, name: "shared" }))).toMatchObject({ code: "LOG_FAILED" });
  });
});
