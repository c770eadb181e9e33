import type { LogConnection, Page, ReadQuery } from "everstream";
import { beforeEach, describe, expect, it } from "vitest";
import { Epochs } from "../../src/hub/epochs.ts";
import { NO_EVENT } from "../../src/hub/log.ts";
import { Pages } from "../../src/hub/pages.ts";

/** A log whose only topic has one event of 10 kB at every place. */
class EndlessLog {
  reads = 0;
  fails = false;

  /** What reads wait for. */
  answered: Promise<void> = Promise.resolve();

  async read({ after }: ReadQuery): Promise<Page> {
    this.reads++;
    if (this.fails) throw new Error("away");
    await this.answered;
    const start = after as number;
    const event = { ...NO_EVENT, type: "message", data: "x".repeat(10_000) };
    const entries =
      start >= 10_000 ? [] : [{ sequence: start + 1, topic: "t", kind: "event" as const, event }];
    return { after: start, entries, through: start + entries.length, head: 10_000, topics: [] };
  }
}

let log: EndlessLog;
let pages: Pages;
beforeEach(() => {
  log = new EndlessLog();
  pages = new Pages(log as unknown as LogConnection, new Epochs([{ epoch: 1, first: 1 }]));
});

const readers = { id: 1, topics: ["t"] };

describe("pages", () => {
  it("are read once and encoded once for all who come for the same", async () => {
    const [first, second] = await Promise.all([pages.read(readers, 5), pages.read(readers, 5)]);
    expect(first).toBe(second);
    expect(await pages.read(readers, 5)).toBe(first);
    expect(first?.bytes).toBe(second?.bytes);
    expect(await pages.read({ ...readers, id: 2 }, 5)).not.toBe(first);
    expect(log.reads).toBe(2);
  });

  it("are kept within a bound", async () => {
    for (let after = 0; after < 2000; after++) await pages.read(readers, after);
    log.reads = 0;
    for (let after = 0; after < 2000; after++) await pages.read(readers, after);
    expect(log.reads).toBeGreaterThan(1000);
  });

  it("are let go of where nobody comes any more", async () => {
    await pages.read(readers, 5);
    pages.sweep();
    await pages.read(readers, 5);
    pages.sweep();
    expect(log.reads).toBe(1);
    pages.sweep();
    await pages.read(readers, 5);
    expect(log.reads).toBe(2);
  });

  it("that lead nowhere, or could not be read, are asked for anew", async () => {
    await pages.read(readers, 10_000);
    await pages.read(readers, 10_000);
    expect(log.reads).toBe(2);
    log.fails = true;
    await expect(pages.read(readers, 5)).rejects.toThrow("away");
    log.fails = false;
    await pages.read(readers, 5);
    expect(log.reads).toBe(4);
  });

  it("that were forgotten while they were read are not kept for who has asked since", async () => {
    const answers: (() => void)[] = [];
    const wait = (): void => {
      log.answered = new Promise((resolve) => answers.push(resolve));
    };
    wait();
    const stale = pages.read(readers, 5);
    pages.clear();
    wait();
    const fresh = pages.read(readers, 5);
    answers[0]?.();
    await stale;
    expect(pages.read(readers, 5)).toBe(fresh);
    answers[1]?.();
    const page = await fresh;
    expect(pages.read(readers, 5)).toBe(page);
    expect(log.reads).toBe(2);
  });

  it("and topics' states are asked for once a turn, and again where something new has come", async () => {
    await Promise.all([pages.states(readers, 7), pages.states(readers, 7)]);
    await pages.states(readers, 7);
    expect(log.reads).toBe(1);
    await pages.states({ ...readers, id: 2 }, 7);
    await pages.states(readers, 8);
    expect(log.reads).toBe(3);
    await new Promise((resolve) => setImmediate(resolve));
    await pages.states(readers, 8);
    expect(log.reads).toBe(4);
  });
});
