import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

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

const script = fileURLToPath(new URL("../../bench/run.js", import.meta.url));

// The generator in Node and peers from node_modules: nothing has to be compiled or built for it.
test("the bench measures peers with its own generator, end to end, and loses no event", () => {
  const folder = mkdtempSync(join(tmpdir(), "everstream-bench-"));
  try {
    const json = join(folder, "figures.json");
    const args = ["--quick", "--connections", "10", "--generator", "Node", "--only", "fanout,tokens"];
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [script, ...args, "--peers", "node:http,hono/streaming", "--json", json],
      { encoding: "utf8" },
    );
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expect(stdout).toContain("Fan-out to 10 connections");
    const figures: { fanout: Fanout[]; tokens: Tokens[] } = JSON.parse(readFileSync(json, "utf8"));
    expect(figures.fanout.map(({ label }) => label)).toContain("hono/streaming");
    for (const { connections, perSecond, p99Us, lost } of figures.fanout) {
      expect({ connections, lost }).toEqual({ connections: 10, lost: 0 });
      expect(perSecond).toBeGreaterThan(0);
      expect(p99Us).toBeGreaterThan(0);
    }
    expect(figures.tokens).toHaveLength(2);
    for (const { paces } of figures.tokens)
      for (const pace of paces) expect(pace.cpuSeconds).toBeGreaterThan(0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
