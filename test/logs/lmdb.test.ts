import fs from "node:fs";
import { mkdir, readdir, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { createHub, type Epoch, type Retention } from "everstream";
import { lmdbLog } from "everstream/lmdb";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { Changes } from "../../src/logs/lmdb-changes.ts";
import { LAST, type Pair } from "../../src/logs/lmdb-keys.ts";
import { LmdbTables } from "../../src/logs/lmdb-tables.ts";
import { describeLog, openNode } from "./contract.ts";
import { describeHubOver, remote } from "./hub-contract.ts";
import { lmdbFixture, testFolder } from "./lmdb-folder.ts";

const KEEP_ALL = { maxEvents: 1e9, maxBytes: 1e12, maxAgeMs: Number.POSITIVE_INFINITY };
const NAMES = { start: "", end: "\uffff" };
const EVERYTHING = { start: [0, 0] as Pair, end: [LAST, LAST] as Pair };

describeLog("lmdbLog", lmdbFixture);
describeHubOver("lmdbLog", lmdbFixture);
describeHubOver("lmdbLog, far away", remote(lmdbFixture));

describe("a restart", () => {
  it("keeps events, ends, what was trimmed, the floor, and results of publishes that may be repeated", async () => {
    const path = await testFolder();
    const before = await openNode(lmdbLog({ path }));
    const retention = { ...KEEP_ALL, maxEvents: 2 };
    await before.append("trimmed", ["1", "2", "3"], { retention });
    await before.append("finished", ["1"], { mark: "finish" });
    await before.append("deleted", ["1"]);
    await before.append("deleted", [], { mark: "delete" });
    const published = await before.append("published", ["1", "2"], { publishId: "p" });
    const topics = ["trimmed", "finished", "deleted", "published", "never"];
    const { entries, head, topics: states } = await before.read(topics);
    await before.connection.close();

    const after = await openNode(lmdbLog({ path }));
    const page = await after.read(topics);
    expect(page).toMatchObject({ entries, head, topics: states });
    expect(after.connection.head).toBe(head);
    expect(await after.append("published", ["1", "2"], { publishId: "p" })).toEqual(published);
    expect(await after.append("trimmed", ["4"], { retention })).toEqual([head + 1]);
    expect((await after.read(["trimmed"])).entries.map(({ event }) => event.data)).toEqual(["3", "4"]);
    await after.connection.close();
  });

  it("keeps the floor of topics that are forgotten", async () => {
    const path = await testFolder();
    const before = await openNode(lmdbLog({ path }));
    await before.append("kept", ["x"]);
    await Promise.all(
      Array.from({ length: 1500 }, async (_, index) => {
        await before.append(`t${index}`, ["x"]);
        await before.append(`t${index}`, [], { mark: "delete" });
      }),
    );
    await before.connection.expire(Date.now());
    const floor = (await before.read(["never"])).topics[0]?.trimmedThrough;
    expect(floor).toBeGreaterThan(0);
    await before.connection.close();
    const after = await openNode(lmdbLog({ path }));
    expect((await after.read(["never"])).topics[0]?.trimmedThrough).toBe(floor);
    await after.connection.close();
  });

  it("takes up the expiring of ages where the last process left it", async () => {
    const path = await testFolder();
    const before = await openNode(lmdbLog({ path }));
    await before.append("t", ["old"], { now: 1000, retention: { ...KEEP_ALL, maxAgeMs: 500 } });
    await before.connection.close();
    const after = await openNode(lmdbLog({ path }));
    await after.connection.expire(1499);
    expect((await after.read(["t"])).entries).toHaveLength(1);
    await after.connection.expire(1500);
    expect((await after.read(["t"])).entries).toEqual([]);
    await after.connection.close();
  });

  it("begins an epoch and remembers the last thousand, oldest first", async () => {
    const path = await testFolder();
    const many = Array.from({ length: 1000 }, (_, index) => ({ epoch: index + 1, first: 1 }));
    const tables = await LmdbTables.open(path);
    await setEpochs(tables, many);
    const node = await openNode(lmdbLog({ path }));
    const { epochs } = node.connection;
    expect(epochs).toHaveLength(1000);
    expect(epochs.slice(0, -1)).toEqual(many.slice(1));
    await node.connection.close();
  });
});

describe("commits", () => {
  it("are shared by all who append at once, and by those who come while one is under way", async () => {
    const node = await openNode(lmdbLog({ path: await testFolder() }));
    await Promise.all(Array.from({ length: 200 }, (_, index) => node.append(`t${index % 5}`, ["x"])));
    expect(node.entries).toHaveLength(200);
    expect(node.deliveries).toHaveLength(1);
    await node.connection.close();
  });

  it("take no more than some milliseconds' worth, however much comes at once", async () => {
    const node = await openNode(lmdbLog({ path: await testFolder() }));
    const batch = Array.from({ length: 500 }, () => "x");
    await Promise.all(Array.from({ length: 20 }, () => node.append("t", batch)));
    expect(node.entries).toHaveLength(10_000);
    expect(Math.max(...node.deliveries.map(({ entries }) => entries.length))).toBeLessThanOrEqual(1000);
    await node.connection.close();
  });
});

describe("what is removed", () => {
  it("leaves nothing behind of 50,000 topics that came and went but the last thousand names, and its file stays small", {
    timeout: 120_000,
  }, async () => {
    const path = await testFolder();
    const node = await openNode(lmdbLog({ path }));
    node.take = () => undefined;
    const sizes: number[] = [];
    for (let round = 0; round < 50; round++) {
      const now = 10_000 + round * 1000;
      await Promise.all(
        Array.from({ length: 1000 }, async (_, index) => {
          const topic = `run:${round}:${index}`;
          const isDeleted = index % 5 === 0;
          const publishId = index % 10 === 0 ? "p" : undefined;
          // What is deleted long before its time must not wait for that.
          const retention = { ...KEEP_ALL, maxAgeMs: isDeleted ? 86_400_000 : 1000 };
          const request = { retention, now, publishId, publishIdWindowMs: 1000 };
          await node.append(topic, ["1", "2", "3"], request);
          if (index % 2 === 0) await node.append(topic, [], { mark: "finish", retention, now });
          if (isDeleted) await node.append(topic, [], { mark: "delete", retention, now });
        }),
      );
      await node.connection.expire(now);
      sizes.push((await stat(join(path, "events.mdb"))).size);
    }
    // The last round's, and what one call may not do at once.
    for (let times = 0; times < 2; times++) await node.connection.expire(1e6);
    await node.connection.close();
    expect(sizes.at(-1)).toBeLessThan(2 * (sizes[9] as number));

    const tables = await LmdbTables.open(path);
    const count = (name: "events" | "due" | "empty" | "leftovers" | "publishIdTimes") =>
      tables[name].getKeysCount(EVERYTHING);
    expect(tables.topics.getKeysCount(NAMES)).toBe(1000);
    expect(count("empty")).toBe(1000);
    expect([count("events"), count("due"), count("leftovers"), count("publishIdTimes")]).toEqual([
      0, 0, 0, 0,
    ]);
    expect(tables.publishIds.getKeysCount(NAMES)).toBe(0);
    await tables.close();
  });

  it("goes a bounded part at a time where a limit falls far, and goes on by itself", async () => {
    const node = await openNode(lmdbLog({ path: await testFolder() }));
    const batch = Array.from({ length: 1000 }, () => "x");
    for (let index = 0; index < 30; index++) await node.append("t", batch);
    await node.append("t", ["last"], { retention: { ...KEEP_ALL, maxEvents: 10 } });
    expect((await node.read(["t"])).entries.length).toBeGreaterThan(20_000);
    await node.connection.expire(Date.now());
    expect((await node.read(["t"])).entries).toHaveLength(10);
    await node.connection.close();
  });

  it("stays removed in part where the log is closed meanwhile", async () => {
    const path = await testFolder();
    const node = await openNode(lmdbLog({ path }));
    const batch = Array.from({ length: 1000 }, () => "x");
    for (let index = 0; index < 10; index++) {
      await node.append("t", batch, { now: 1000, retention: { ...KEEP_ALL, maxAgeMs: 1000 } });
    }
    const expiring = node.connection.expire(2000);
    await new Promise((resolve) => setImmediate(resolve));
    await node.connection.close();
    await expiring;
    const again = await openNode(lmdbLog({ path }));
    expect((await again.read(["t"])).entries.length).toBeGreaterThan(0);
    await again.connection.expire(2000);
    expect((await again.read(["t"])).entries).toEqual([]);
    await again.connection.close();
  });

  it("gives large events' space back, and reads them whole until then", async () => {
    const node = await openNode(lmdbLog({ path: await testFolder() }));
    const retention = { ...KEEP_ALL, maxEvents: 3 };
    for (let index = 0; index < 12; index++) {
      await node.append("t", [String(index).repeat(500_000)], { retention });
    }
    const { entries } = await node.read(["t"]);
    expect(entries.map(({ event }) => event.data)).toEqual(
      [9, 10, 11].map((index) => String(index).repeat(500_000)),
    );
    await node.connection.close();
  });
});

describe("a full disk", () => {
  /** Has the system say that so much is free, from the second call on; and what it says in truth again after the test. */
  function setFree(bytes: () => number): void {
    const { statfsSync } = fs;
    vi.spyOn(fs, "statfsSync").mockImplementation(((path: string) => {
      const stats = statfsSync(path);
      return { ...stats, bsize: 1, bavail: bytes() };
    }) as typeof statfsSync);
    syncBuiltinESMExports();
    onTestFinished(() => {
      vi.restoreAllMocks();
      syncBuiltinESMExports();
    });
  }

  it("fails publishes with a code, loses nothing that was accepted, and is over when there is space", async () => {
    let free = 1e9;
    setFree(() => free);
    const path = await testFolder();
    const hub = createHub({ log: lmdbLog({ path }) });
    const seen: unknown[] = [];
    await hub.subscribe("t", ({ data }) => seen.push(data)).ready;
    await hub.publish("t", { data: 1 });
    free = 1e6;
    const failed = [hub.publish("t", { data: 2 }), hub.publish("t", { data: 3 }, { publishId: "p" })];
    for (const publish of failed) {
      await expect(publish).rejects.toMatchObject({ code: "LOG_FAILED", cause: { code: "ENOSPC" } });
    }
    expect((await hub.read("t")).events.map(({ data }) => data)).toEqual([1]);
    free = 1e9;
    await hub.publish("t", { data: 3 }, { publishId: "p" });
    await hub.publish("t", { data: 4 });
    expect((await hub.read("t")).events.map(({ data }) => data)).toEqual([1, 3, 4]);
    expect(seen).toEqual([1, 3, 4]);
    await hub.close();
  });

  /** A hub whose log has the disk for itself, and has filled it. */
  async function filledBy(topic: string, retention: Retention) {
    const path = await testFolder();
    const file = join(path, "events.mdb");
    setFree(() => 24e6 - (fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0));
    const hub = createHub({
      log: lmdbLog({ path }),
      retention: { maxEvents: 1e6, maxBytes: 1e9, ...retention },
    });
    onTestFinished(() => hub.close());
    let accepted = 0;
    const publish = async (): Promise<number> => {
      const events = Array.from({ length: 10 }, () => hub.publish(topic, { data: "x".repeat(9000) }));
      const outcomes = await Promise.allSettled(events);
      const added = outcomes.filter(({ status }) => status === "fulfilled").length;
      accepted += added;
      return added;
    };
    while ((await publish()) > 0) expect(accepted).toBeLessThan(3000);
    expect(accepted).toBeGreaterThan(1000);
    return { hub, publish };
  }

  it("of the log's own events is no dead end: what is deleted makes room in the file", async () => {
    const { hub, publish } = await filledBy("t", {});
    await hub.publish("small", { data: 1 }).catch(() => "");
    await hub.delete("t");
    await expect.poll(publish, { timeout: 20_000 }).toBe(10);
    for (let round = 0; round < 50; round++) expect(await publish()).toBe(10);
  });

  it("of the log's own events is no dead end: so does what is over its age, whoever tries to publish meanwhile", async () => {
    const { publish } = await filledBy("t", { maxAge: 3000 });
    await expect.poll(publish, { timeout: 30_000 }).toBe(10);
  });

  it("fails opening too, and leaves nothing half made", async () => {
    let free = 1e6;
    setFree(() => free);
    const path = await testFolder();
    const log = lmdbLog({ path });
    await expect(openNode(log)).rejects.toMatchObject({ code: "LOG_FAILED", cause: { code: "ENOSPC" } });
    free = 1e9;
    const node = await openNode(log);
    await node.append("t", ["x"]);
    await node.connection.close();
  });
});

describe("a folder", () => {
  it("is made where it is missing, and is opened only when a hub needs it", async () => {
    const path = join(await testFolder(), "a", "b.c");
    const log = lmdbLog({ path });
    await expect(readdir(path)).rejects.toMatchObject({ code: "ENOENT" });
    const node = await openNode(log);
    expect(await readdir(path)).toContain("events.mdb");
    // Nobody else may read what is in there.
    for (const name of await readdir(path)) expect((await stat(join(path, name))).mode & 0o077).toBe(0);
    await node.connection.close();
  });

  it("is shared by all hubs on one log, until the last of them closes", async () => {
    const path = await testFolder();
    const log = lmdbLog({ path });
    const first = createHub({ log });
    const second = createHub({ log });
    await first.publish("t", { data: 1 });
    await first.close();
    await second.publish("t", { data: 2 });
    await second.close();
    const again = createHub({ log });
    expect((await again.read("t")).events.map(({ data }) => data)).toEqual([1, 2]);
    await again.close();
  });

  it("can't be opened by a second log, but once the first has closed", async () => {
    const path = await testFolder();
    const first = await openNode(lmdbLog({ path }));
    const second = lmdbLog({ path: join(path, "..", path.split("/").at(-1) as string) });
    await expect(openNode(second)).rejects.toMatchObject({
      code: "LOG_LOCKED",
      message: expect.stringContaining("in this process"),
    });
    // The first one's claim is untouched by that.
    await expect(openNode(lmdbLog({ path }))).rejects.toMatchObject({ code: "LOG_LOCKED" });
    await first.append("t", ["x"]);
    await first.connection.close();
    const node = await openNode(second);
    expect((await node.read(["t"])).entries).toHaveLength(1);
    await node.connection.close();
  });

  it("goes to one of many that try at the same moment", async () => {
    const path = await testFolder();
    const nodes = await Promise.allSettled(Array.from({ length: 10 }, () => openNode(lmdbLog({ path }))));
    const opened = nodes.filter((result) => result.status === "fulfilled");
    expect(opened).toHaveLength(1);
    await opened[0]?.value.connection.close();
  });

  it("is refused where another version of everstream has stored in another way", async () => {
    const path = await testFolder();
    const tables = await LmdbTables.open(path);
    await setEpochs(tables, [], 2);
    await expect(openNode(lmdbLog({ path }))).rejects.toMatchObject({
      code: "LOG_FAILED",
      message: expect.stringContaining("format 2"),
    });
  });

  it("needs no care after a process that was killed while it made the folder", async () => {
    const path = await testFolder();
    const anHourAgo = Date.now() / 1000 - 3600;
    for (const name of ["events.mdb.1-a.new", "owner.mdb.2-b.new-lock"]) {
      await writeFile(join(path, name), "half");
      await utimes(join(path, name), anHourAgo, anHourAgo);
    }
    const node = await openNode(lmdbLog({ path }));
    expect((await readdir(path)).sort()).toEqual([
      "events.mdb",
      "events.mdb-lock",
      "owner.mdb",
      "owner.mdb-lock",
    ]);
    await node.connection.close();
  });

  it.each([
    ["removed", (path: string) => rm(path, { recursive: true })],
    ["removed and made again", (path: string) => rm(path, { recursive: true }).then(() => mkdir(path))],
    [
      "emptied",
      (path: string) => Promise.all(["events.mdb", "owner.mdb"].map((name) => rm(join(path, name)))),
    ],
    ["renamed", (path: string) => rename(path, join(path, "..", crypto.randomUUID()))],
  ])(
    "that is %s while it is open takes no more events, since nobody would find them again; what is there is read on",
    async (_, harm) => {
      const path = join(await testFolder(), "log");
      const hub = createHub({ log: lmdbLog({ path }) });
      await hub.publish("t", { data: 1 });
      await harm(path);
      for (const data of [2, 3]) {
        await expect(hub.publish("t", { data })).rejects.toMatchObject({
          code: "LOG_FAILED",
          message: expect.stringContaining("removed"),
        });
      }
      expect((await hub.read("t")).events.map(({ data }) => data)).toEqual([1]);
      await hub.close();
      const after = createHub({ log: lmdbLog({ path }) });
      await after.publish("t", { data: 4 });
      expect((await after.read("t")).events.map(({ data }) => data)).toEqual([4]);
      await after.close();
    },
  );

  it("that is no folder, or holds something else, is an error with its cause", async () => {
    const path = await testFolder();
    await writeFile(join(path, "file"), "x");
    const asFile = lmdbLog({ path: join(path, "file") });
    await expect(openNode(asFile)).rejects.toMatchObject({ code: "LOG_FAILED", cause: expect.any(Error) });
    const other = join(path, "other");
    await mkdir(other);
    await writeFile(join(other, "events.mdb"), "no database".repeat(1000));
    await expect(openNode(lmdbLog({ path: other }))).rejects.toMatchObject({
      code: "LOG_FAILED",
      message: expect.stringContaining(other),
    });
  });

  it.each([undefined, "", 1])("can't be %s", (path) => {
    expect(() => lmdbLog({ path: path as string })).toThrow(
      expect.objectContaining({ code: "INVALID_OPTION" }),
    );
  });
});

async function setEpochs(tables: LmdbTables, epochs: readonly Epoch[], format?: number): Promise<void> {
  const changes = new Changes();
  tables.setEpochs(changes, epochs, format);
  await tables.commit(changes);
  await tables.close();
}
