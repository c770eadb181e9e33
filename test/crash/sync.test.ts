// Watches a publishing process' system calls with strace, and breaks some of them.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { runChild } from "../../scripts/lib/child.js";
import { type Call, markOf, readTrace } from "./trace.js";

const EVENTS = 65;

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "everstream-sync-"));
});
afterEach(() => rm(folder, { recursive: true }));

/** What the publisher said, run under strace with these options. */
async function publish(...options: string[]): Promise<string[]> {
  const script = new URL("publisher.js", import.meta.url).pathname;
  const strace = ["-f", "-q", "-y", "-s", "100000", "-o", join(folder, "trace"), ...options];
  const { code, output } = await runChild(process.env.STRACE_PATH ?? "strace", [
    ...strace,
    process.execPath,
    script,
    join(folder, "log"),
  ]);
  expect(code, output).toBe(0);
  return output.split("\n");
}

it("nothing is acknowledged or shown before the sync that covers it has returned", async () => {
  await publish("-e", "trace=openat,write,writev,pwrite64,pwritev,pwritev2,fdatasync,fsync,msync");
  const calls = readTrace(join(folder, "trace"));
  const onLog = calls.filter(({ text }) => text.includes("/log/events.mdb>"));
  const rootFiles = calls.filter(({ name, text }) => name === "openat" && text.includes("O_DSYNC"));
  const isRoot = ({ text }: Call) => rootFiles.some(({ result }) => text.startsWith(`${result}<`));
  const after = (place: number, fits: (call: Call) => boolean) =>
    onLog.find((call) => call.begun > place && call.result >= 0 && fits(call));

  for (let n = 0; n < EVENTS; n++) {
    const pages = after(-1, ({ text }) => text.includes(markOf(n)));
    const sync = after(pages?.ended ?? Number.NaN, ({ name }) => name === "fdatasync");
    // The page that makes the commit count. It is opened with O_DSYNC: the write is its own sync.
    const root = after(sync?.ended ?? Number.NaN, isRoot);
    expect(root, `event ${n} is written, synced and made to count`).toBeDefined();
    for (const word of ["accepted", "shown"]) {
      const said = calls.find(({ name, text }) => name === "write" && text.includes(`${word} ${markOf(n)}`));
      expect(said?.begun, `${word} ${n}`).toBeGreaterThan(root?.ended ?? Number.NaN);
    }
  }
});

it("a sync that fails fails the publishes that it covers, and loses nothing else", async () => {
  // The fifth of every thread that syncs.
  const said = await publish("-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=5");
  const saidOf = (word: string) =>
    said.flatMap((line) => (line.startsWith(`${word} `) ? line.slice(word.length + 1) : []));
  const failed = saidOf("failed");
  expect(failed.length).toBeGreaterThan(0);
  expect(failed.filter((text) => !text.endsWith(" LOG_FAILED"))).toEqual([]);
  expect(saidOf("accepted")).toHaveLength(EVENTS - failed.length);
  expect(saidOf("holds")).toEqual(saidOf("accepted"));
  expect(saidOf("shown")).toEqual(saidOf("accepted"));
  // The last ones came when all was well again.
  expect(saidOf("accepted")).toContain(markOf(EVENTS - 1));
});
