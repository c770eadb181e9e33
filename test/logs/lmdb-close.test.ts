// What is left of an LMDB log where its file can't be closed, or is closed while it is being opened anew.
import { createHub, type EventLog, type Hub } from "everstream";
import { lmdbLog } from "everstream/lmdb";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LmdbOwner } from "../../src/logs/lmdb-owner.ts";
import { LmdbTables } from "../../src/logs/lmdb-tables.ts";
import { until } from "../session/eventually.ts";
import { testFolder } from "./lmdb-folder.ts";

let path: string;
let log: EventLog;
let hub: Hub;

beforeEach(async () => {
  path = await testFolder();
  log = lmdbLog({ path });
  hub = createHub({ log });
  await hub.publish("t", { data: 1 });
});
afterEach(() => vi.restoreAllMocks());

const datas = async (from: Hub): Promise<unknown[]> => (await from.read("t")).events.map(({ data }) => data);

/** Has the next closing of the file fail, once the file is closed. */
function failToClose(): void {
  const { close } = LmdbTables.prototype;
  vi.spyOn(LmdbTables.prototype, "close").mockImplementationOnce(async function (this: LmdbTables) {
    await close.call(this);
    throw new Error("no close");
  });
}

/** Has the next commit fail in such a way that what is in memory is of no use any more. */
async function failToCommit(): Promise<void> {
  vi.spyOn(LmdbTables.prototype, "hasFailed", "get").mockReturnValueOnce(true);
  vi.spyOn(LmdbTables.prototype, "commit").mockRejectedValueOnce(new Error("no commit"));
  await expect(hub.publish("t", { data: "lost" })).rejects.toMatchObject({ code: "LOG_FAILED" });
}

describe("a file that fails to close", () => {
  it("is told by the hub's close, and keeps neither this log nor another from opening the folder", async () => {
    failToClose();
    await expect(hub.close()).rejects.toMatchObject({ code: "LOG_FAILED", cause: new Error("no close") });
    for (const next of [log, lmdbLog({ path })]) {
      const again = createHub({ log: next });
      expect(await datas(again)).toEqual([1]);
      await again.close();
    }
  });

  it("as little as one that fails to be let go of", async () => {
    const { release } = LmdbOwner.prototype;
    vi.spyOn(LmdbOwner.prototype, "release").mockImplementationOnce(async function (this: LmdbOwner) {
      await release.call(this);
      throw new Error("no release");
    });
    await expect(hub.close()).rejects.toMatchObject({ code: "LOG_FAILED", cause: new Error("no release") });
    const again = createHub({ log });
    expect(await datas(again)).toEqual([1]);
    await again.close();
  });

  it("after a commit that failed, ends no process, and is opened anew by who comes next", async () => {
    failToClose();
    await failToCommit();
    // An unhandled rejection would be one by now.
    await new Promise((resolve) => setImmediate(resolve));
    await hub.publish("t", { data: 2 });
    expect(await datas(hub)).toEqual([1, 2]);
    await hub.close();
  });

  it("while the log is being opened, leaves the folder to whoever tries next", async () => {
    await hub.close();
    failToClose();
    vi.spyOn(LmdbTables.prototype, "commit").mockRejectedValueOnce(new Error("no commit"));
    await expect(createHub({ log }).position()).rejects.toMatchObject({
      code: "LOG_FAILED",
      message: expect.stringContaining("no commit"),
    });
    const again = createHub({ log });
    expect(await datas(again)).toEqual([1]);
    await again.close();
  });
});

it("a log that is closed while its file is being opened anew closes that, too", async () => {
  const closed = vi.spyOn(LmdbTables.prototype, "close");
  await failToCommit();
  await until(() => closed.mock.calls.length === 1);
  const { open } = LmdbTables;
  let pass: () => void = () => undefined;
  const passed = new Promise<void>((resolve) => {
    pass = resolve;
  });
  const opened = vi.spyOn(LmdbTables, "open").mockImplementation(async (folder) => {
    await passed;
    return open.call(LmdbTables, folder);
  });
  const reading = datas(hub).catch((error: unknown) => error);
  await until(() => opened.mock.calls.length === 1);
  const closing = hub.close();
  pass();
  await closing;
  const read = await reading;
  if (!Array.isArray(read)) expect(read).toMatchObject({ code: "LOG_CLOSED" });
  expect(closed).toHaveBeenCalledTimes(2);
});
