import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";

interface Fanout {
  label: string;
  connections: number;
  perSecond: number;
  p99Us: number;
  lost: number;
}

interface Tokens {
  label: string;
  paces: { cpuSeconds: number }[];
}

interface Aim {
  what: string;
  measured: string;
  reached?: boolean;
}

const script = fileURLToPath(new URL("../../bench/run.js", import.meta.url));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "everstream-bench-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Small, and with the generator in Node, for which nothing has to be compiled. */
function bench(...args: string[]) {
  const json = join(folder, "figures.json");
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [script, "--quick", "--generator", "Node", ...args, "--json", json],
    { encoding: "utf8" },
  );
  expect(stderr).toBe("");
  expect(status).toBe(0);
  return { stdout, figures: JSON.parse(readFileSync(json, "utf8")) };
}

function expectFanout(rows: Fanout[], connections: number) {
  for (const row of rows) {
    expect(row).toMatchObject({ connections, lost: 0 });
    expect(row.perSecond).toBeGreaterThan(0);
    expect(row.p99Us).toBeGreaterThan(0);
  }
}

// Peers from node_modules: nothing has to be built for it, either.
test("the bench measures peers with its own generator, end to end, and loses no event", () => {
  const { stdout, figures } = bench(
    ...["--only", "fanout,tokens", "--connections", "10", "--peers", "node:http,hono/streaming"],
  );
  expect(stdout).toContain("Fan-out to 10 connections");
  const fanout: Fanout[] = figures.fanout;
  expect(fanout.map(({ label }) => label)).toContain("hono/streaming");
  expectFanout(fanout, 10);
  const tokens: Tokens[] = figures.tokens;
  expect(tokens).toHaveLength(2);
  for (const { paces } of tokens) for (const pace of paces) expect(pace.cpuSeconds).toBeGreaterThan(0);
  // Aims that refer to somebody who was not measured are neither reached nor missed.
  for (const { measured, reached } of figures.fanoutAims as Aim[]) {
    expect({ measured, reached }).toEqual({ measured: "–", reached: undefined });
  }
});

// Twenty servers, one after the other.
test("every row of everstream's own measures what its aims ask for, and loses no event", {
  timeout: 120_000,
}, () => {
  const rows = ["crowd", "topics", "delay", "pace", "stalled", "replay", "durable"];
  const { figures } = bench("--only", rows.join(","), "--connections", "20");
  expectFanout(figures.crowd, 20);
  expectFanout(figures.topics.fanout, 20);
  expect(figures.pace.map(({ lost }: Fanout) => lost)).toEqual([0, 0]);
  expect(figures.stalled.map(({ lost }: Fanout) => lost)).toEqual([0, 0]);
  expect(figures.stalled[1].stalledOpen).toBe(1);
  expect(figures.replay.map(({ lost }: Fanout) => lost)).toEqual([0, 0, 0, 0, 0, 0]);
  for (const row of rows) {
    const aims: Aim[] = figures[`${row}Aims`];
    expect(aims).not.toEqual([]);
    for (const { what, reached } of aims)
      expect({ what, reached }).toEqual({ what, reached: expect.any(Boolean) });
  }
});

test("Nchan is measured where it is installed, and said to be missing where it is not", () => {
  const { stdout, figures } = bench("--only", "fanout", "--connections", "5", "--peers", "Nchan");
  const measured: Fanout[] = figures.fanout.filter(({ label }: Fanout) => label === "Nchan");
  expectFanout(measured, 5);
  expect(stdout.includes("Nchan: not installed")).toBe(measured.length === 0);
});

test("--markdown puts a row's tables between its marks and leaves the page's other rows alone", () => {
  const page = join(folder, "page.md");
  const marked = (row: string, text: string) => `<!-- figures of ${row} -->\n${text}\n<!-- end of ${row} -->`;
  writeFileSync(page, `# Page\n\n${marked("fanout", "old figures")}\n\n${marked("tokens", "these stay")}\n`);
  bench("--only", "fanout", "--connections", "5", "--peers", "node:http", "--markdown", page);
  const written = readFileSync(page, "utf8");
  expect(written).toMatch(/^# Page\n\n<!-- figures of fanout -->\n\n\*\*Fan-out to 5 connections/);
  expect(written).toMatch(/\n\| node:http \| [\d,]+ \|/);
  expect(written).not.toContain("old figures");
  expect(written.endsWith(`<!-- end of fanout -->\n\n${marked("tokens", "these stay")}\n`)).toBe(true);
});
