import type { Run } from "everstream";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { remoteLog } from "../hub/remote-log.ts";
import { eventually } from "../session/eventually.ts";
import { aborted, Cluster, ended, gate, join, textOf } from "./nodes.ts";

let cluster: Cluster;
beforeEach(() => {
  cluster = new Cluster();
});
afterEach(() => cluster.close());

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe("a run's text", () => {
  it("goes out at once at first, then joined, and all of it before the end", async () => {
    const node = cluster.node();
    const first = gate();
    await node.runs.start({
      id: "a",
      produce: async (run) => {
        await run.text("first");
        await first.promise;
        for (let index = 0; index < 500; index++) await run.text(`${index} `);
      },
    });
    const client = await join(node, "a");
    await client.until((seen) => textOf(seen) === "first");
    first.open();
    await ended(client);
    expect(textOf(client)).toBe(`first${Array.from({ length: 500 }, (_, index) => `${index} `).join("")}`);
    expect(client.events.length).toBeLessThan(20);
  });

  it("is cut into events below 32 kB, whatever characters it has, and never within one", async () => {
    const node = cluster.node();
    // The one at its beginning has the cuts come where characters are two units long.
    const text = `a${"🙂".repeat(12_001)}${"\u0000".repeat(9000)}${"é\n".repeat(9000)}`;
    await node.runs.start({ id: "a", produce: (run) => run.text(text) });
    await node.runs.ended("a");
    const { events } = await node.hub.read("run:a");
    const contents = events.flatMap(({ type, data }) =>
      type === "token" ? [(data as { content: string }).content] : [],
    );
    expect(contents.join("")).toBe(text);
    for (const content of contents) {
      expect(content).not.toMatch(/\p{Surrogate}/u);
      expect(new TextEncoder().encode(JSON.stringify({ content })).length).toBeLessThanOrEqual(32 * 1024);
    }
  });

  it("names the position of the latest progress with what comes after it, also where they wait together", async () => {
    let held: ReturnType<typeof gate> | undefined;
    const log = remoteLog(cluster.log, {
      onCall: (call, moment) => (call === "append" && moment === "before" ? held?.promise : undefined),
    });
    const node = cluster.node({}, log);
    await node.runs.start({
      id: "a",
      produce: async (run) => {
        held = gate();
        const first = run.send("note", 1);
        const step = run.step("Reading");
        const second = run.send("note", 2);
        held.open();
        await Promise.all([first, step, second]);
      },
    });
    await node.runs.ended("a");
    const { events } = await node.hub.read("run:a");
    const [progress] = events.filter(({ type }) => type === "progress");
    const notes = events.filter(({ type }) => type === "note");
    expect(notes.map(({ meta }) => meta.progress)).toEqual([undefined, progress?.id]);
  });

  it("makes its producer wait while the log takes nothing, and is held within bounds", async () => {
    let held: ReturnType<typeof gate> | undefined;
    const log = remoteLog(cluster.log, {
      onCall: (call, moment) => (call === "append" && moment === "before" ? held?.promise : undefined),
    });
    const node = cluster.node({}, log);
    let written = 0;
    const full = gate();
    await node.runs.start({
      id: "a",
      produce: async (run) => {
        await run.send("begun");
        held = gate();
        full.open();
        while (written < 1_000_000) {
          await run.text("x".repeat(1000));
          written += 1000;
        }
      },
    });
    await full.promise;
    await eventually(() => expect(written).toBeGreaterThan(60_000));
    await sleep(50);
    expect(written).toBeLessThan(70_000);
    const waiting = held;
    held = undefined;
    waiting?.open();
    expect(await node.runs.ended("a")).toMatchObject({ state: "done" });
    const client = await join(node, "a");
    await ended(client);
    expect(textOf(client)).toHaveLength(1_000_000);
  });

  it("is written once, though the log loses its answers", async () => {
    let appends = 0;
    const failing = new Error("connection lost");
    const log = remoteLog(cluster.log, {
      onCall: (call, moment) => {
        if (call !== "append" || moment !== "after" || ++appends % 3 !== 0) return;
        throw Object.assign(failing, { name: "EverstreamError", code: "LOG_FAILED" });
      },
    });
    const node = cluster.node({}, log);
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    const words = Array.from({ length: 40 }, (_, index) => `word ${index} `);
    for (let tries = 0; ; tries++) {
      const started = await node.runs
        .start({
          id: `a${tries}`,
          produce: async (run) => {
            for (const word of words) {
              void run.text(word);
              await run.send("cut");
            }
          },
        })
        .catch(() => undefined);
      if (started === undefined) continue;
      const client = await join(node, started.id);
      await ended(client);
      expect(textOf(client)).toBe(words.join(""));
      expect(client.events.filter(({ event }) => event === "cut")).toHaveLength(40);
      break;
    }
    vi.restoreAllMocks();
  });
});

describe("a run's progress", () => {
  const progressOf = (client: { events: readonly { event: string; data: string }[] }) =>
    client.events.filter(({ event }) => event === "progress").map(({ data }) => JSON.parse(data));

  it("is rate-limited, never falls, counts by steps, and is whole at the end", async () => {
    const node = cluster.node();
    const joined = gate();
    await node.runs.start({
      id: "a",
      steps: ["Reading", { name: "Storing", weight: 3 }],
      produce: async (run) => {
        await joined.promise;
        await run.step("Reading");
        for (let done = 0; done <= 1000; done++) run.progress({ done, total: 1000, unit: "rows" });
        run.progress(0.1);
        await run.step("Storing");
        await sleep(120);
        run.progress(0.5);
        await sleep(120);
      },
    });
    const client = await join(node, "a");
    joined.open();
    await ended(client);
    const states = progressOf(client);
    expect(states.length).toBeLessThan(10);
    expect(states[0]).toMatchObject({ step: "Reading", progress: 0 });
    expect(states.map(({ progress }) => progress)).toEqual(
      states.map(({ progress }) => progress).toSorted((a, b) => a - b),
    );
    expect(states).toContainEqual({ step: "Storing", progress: 25, etaMs: expect.any(Number) });
    expect(states).toContainEqual({ step: "Storing", progress: 62.5, etaMs: expect.any(Number) });
    expect(states.at(-1)).toEqual({ step: "Storing", progress: 100 });
    expect(client.events.at(-2)?.event).toBe("done");
  });

  it("is told as it stands where the run fails or is stopped", async () => {
    const node = cluster.node();
    const reported = gate();
    await node.runs.start({
      id: "a",
      produce: async (run: Run) => {
        await run.step("Working");
        run.progress({ done: 1, total: 4 });
        reported.open();
        await aborted(run.signal);
      },
    });
    await reported.promise;
    await node.runs.stop("a");
    const client = await join(node, "a");
    await ended(client);
    expect(progressOf(client)).toEqual([
      { step: "Working", progress: 25, done: 1, total: 4, etaMs: expect.any(Number) },
    ]);
  });

  it("refuses figures that are none", async () => {
    const node = cluster.node();
    const errors: unknown[] = [];
    await node.runs.start({
      id: "a",
      produce: (run) => {
        for (const figure of [Number.NaN, { done: Number.NaN, total: 1 }]) {
          try {
            run.progress(figure);
          } catch (error) {
            errors.push(error);
          }
        }
      },
    });
    await node.runs.ended("a");
    expect(errors).toEqual([
      expect.objectContaining({ code: "INVALID_OPTION" }),
      expect.objectContaining({ code: "INVALID_OPTION" }),
    ]);
  });
});
