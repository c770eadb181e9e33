import { describe, expect, test } from "vitest";
import { createHistory, type History, type Leadership } from "../../src/client/share-history.ts";
import type { Entry, Hello } from "../../src/client/share-wire.ts";

describe("what a leader's history has for a tab", () => {
  const entry = (seq: number, id: string, term = 1): Entry => ({
    kind: "event",
    term,
    seq,
    event: { event: "message", data: "", lastEventId: id },
  });
  const leader = (own: Partial<Leadership> = {}): Leadership => ({
    place: { term: 1, seq: 3 },
    id: "1-9",
    from: { place: undefined, id: "1-1", isStolen: false },
    ordered: true,
    ...own,
  });
  const hello = (id: string, place?: Hello["place"]): Hello => ({
    kind: "hello",
    nonce: "",
    place,
    id,
    wake: false,
  });
  const history = createHistory();
  history.reset({ term: 1, seq: 0 }, "1-1");
  const entries = [entry(1, "1-3"), entry(2, "1-6"), entry(3, "1-9")];
  for (const each of entries) history.add(each);

  const ahead = hello("1-9", { term: 0.5, seq: 9 });
  const from = { place: { term: 0.5, seq: 7 }, id: "1-9", isStolen: false };
  const early: Entry = { kind: "lead", term: 0.5, seq: 0, from: undefined };
  const all = [early, ...entries];

  test.each<[string, Hello, Leadership, unknown]>([
    ["at the same place", hello("1-9", { term: 1, seq: 3 }), leader(), { entries: [], joins: "next" }],
    [
      "at an earlier place",
      hello("x", { term: 1, seq: 1 }),
      leader(),
      { entries: entries.slice(1), joins: "next" },
    ],
    ["at the first place", hello("x", { term: 1, seq: 0 }), leader(), { entries, joins: "next" }],
    ["with an id that it has", hello("1-3"), leader(), { entries: entries.slice(1), joins: "next" }],
    ["with the id before all", hello("1-1"), leader(), { entries, joins: "next" }],
    ["with a position between", hello("1-4"), leader(), { entries: entries.slice(1), joins: "next" }],
    ["with an older position", hello("1-0"), leader(), undefined],
    ["with what only looks like a position", hello("1-4"), leader({ ordered: false }), undefined],
    ["with a later position", hello("1-z"), leader(), { entries: [], joins: "ahead" }],
    ["with a later id that is no position", hello("z"), leader({ ordered: false }), undefined],
    ["with nothing", hello(""), leader(), { entries: [], joins: "anew" }],
    [
      "at a forgotten place, without an id since",
      hello("1-1", { term: 0.5, seq: 1 }),
      leader(),
      { entries, joins: "anew" },
    ],
    ["at a forgotten place, with another id", hello("1-0", { term: 0.5, seq: 1 }), leader(), undefined],
    ["ahead of where its term began, without an id", ahead, leader({ from }), { entries, joins: "next" }],
    [
      "ahead without an id, where both had a connection",
      ahead,
      leader({ from: { ...from, isStolen: true } }),
      { entries: [], joins: "anew" },
    ],
    [
      "ahead with an id",
      hello("1-6", { term: 0.5, seq: 9 }),
      leader({ from }),
      { entries: entries.slice(2), joins: "next" },
    ],
  ])("%s", (_, question, facts, expected) => {
    expect(history.missedBy(question, facts)).toEqual(expected);
  });

  test("of its own term alone is new to who was ahead", () => {
    const longer = createHistory();
    for (const each of all) longer.add(each);
    expect(longer.missedBy(ahead, leader({ from }))).toEqual({ entries, joins: "next" });
  });

  test("is bounded, in entries and in text", () => {
    const small = createHistory();
    for (let seq = 1; seq <= 5000; seq++) small.add(entry(seq, `e${seq}`));
    expect(small.since({ term: 1, seq: 4999 })).toHaveLength(1);
    expect(longest(small, 5000)).toBeLessThanOrEqual(1024);
    const long = createHistory();
    const event = { event: "message", data: "x".repeat(100_000), lastEventId: "" };
    for (let seq = 1; seq <= 9; seq++)
      long.add({ kind: "event", term: 1, seq, event: { ...event, lastEventId: `${seq}` } });
    expect(longest(long, 9)).toBe(2);
  });
});

/** The most that it has after any place. */
function longest(history: History, last: number): number {
  return Math.max(
    ...Array.from({ length: last }, (_, index) => history.since({ term: 1, seq: index + 1 }).length),
  );
}
