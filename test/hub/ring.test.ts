import { describe, expect, it } from "vitest";
import { Frame } from "../../src/hub/frame.ts";
import { NO_EVENT } from "../../src/hub/log.ts";
import { Ring } from "../../src/hub/ring.ts";

const text = new TextDecoder();

function frame(sequence: number, data = ""): Frame {
  const event = { ...NO_EVENT, type: "message", data };
  return new Frame({ sequence, topic: "t", kind: "event", event }, `id${sequence}`);
}

describe("a ring of frames", () => {
  it("holds what is after its base, and its base rises with what it lets go of", () => {
    const ring = new Ring(10, 1000);
    ring.push(frame(9));
    ring.push(frame(10));
    expect([ring.start, ring.end, ring.base]).toEqual([0, 0, 10]);
    for (const sequence of [12, 15, 20]) ring.push(frame(sequence));
    ring.discard(1);
    expect([ring.start, ring.end, ring.base]).toEqual([1, 3, 12]);
    expect([12, 14, 15, 19, 20, 99].map((sequence) => ring.indexAfter(sequence))).toEqual([1, 1, 2, 2, 3, 3]);
  });

  it("lets go of the oldest frames over its bytes, of all of them where one alone is over", () => {
    const ring = new Ring(0, 1000);
    for (let sequence = 1; sequence <= 10; sequence++) ring.push(frame(sequence, "x".repeat(100)));
    expect([ring.start, ring.end, ring.base]).toEqual([7, 10, 7]);
    ring.push(frame(11, "x".repeat(2000)));
    expect([ring.start, ring.end, ring.base]).toEqual([11, 11, 11]);
  });

  it("joins frames into one write for everybody who stands at the same place", () => {
    const ring = new Ring(0, 1e6);
    for (const sequence of [1, 2, 3]) ring.push(frame(sequence, `d${sequence}`));
    const all = ring.block(0);
    expect(text.decode(all.bytes.bytes)).toBe(
      "data: d1\nid: id1\n\ndata: d2\nid: id2\n\ndata: d3\nid: id3\n\n",
    );
    expect([all.to, all.last]).toEqual([3, 3]);
    expect(ring.block(0)).toBe(all);
    expect(text.decode(ring.block(2).bytes.bytes)).toBe("data: d3\nid: id3\n\n");
    ring.push(frame(4));
    expect(ring.block(0).to).toBe(4);
  });

  it("makes no write larger than 64 kB of several frames", () => {
    const ring = new Ring(0, 1e9);
    for (let sequence = 1; sequence <= 100; sequence++) ring.push(frame(sequence, "x".repeat(10_000)));
    ring.push(frame(101, "x".repeat(200_000)));
    const writes: number[] = [];
    for (let from = 0; from < ring.end; ) {
      const { bytes, to } = ring.block(from);
      writes.push(bytes.length);
      from = to;
    }
    expect(Math.max(...writes.slice(0, -1))).toBeLessThanOrEqual(64 * 1024);
    expect(writes.length).toBeLessThan(20);
    expect(writes.at(-1)).toBeGreaterThan(200_000);
  });

  it("keeps what it has joined for others only within a bound, wherever readers stand", () => {
    const ring = new Ring(0, 1e9);
    for (let sequence = 1; sequence <= 1000; sequence++) ring.push(frame(sequence, "x".repeat(2000)));
    const blocks = Array.from({ length: 900 }, (_, from) => ring.block(from));
    const kept = blocks.filter((block, from) => ring.block(from) === block);
    const bytes = kept.reduce((sum, block) => sum + block.bytes.length, 0);
    expect(bytes).toBeLessThanOrEqual(4 * 1024 * 1024);
    expect(ring.block(899)).toBe(ring.block(899));
  });

  it("knows where a topic's frames end", () => {
    const ring = new Ring(0, 1e6);
    for (const sequence of [1, 2, 3]) ring.push(frame(sequence));
    expect([ring.endOf("t"), ring.endOf("other")]).toEqual([3, 0]);
    ring.discard(1);
    expect(ring.endOf("other")).toBe(1);
  });

  it("jumping leaves all indexes behind", () => {
    const ring = new Ring(0, 1e6);
    for (const sequence of [1, 2]) ring.push(frame(sequence));
    const { end } = ring;
    ring.jump(50);
    expect(ring.start).toBeGreaterThan(end);
    expect([ring.end - ring.start, ring.base]).toEqual([0, 50]);
  });
});
