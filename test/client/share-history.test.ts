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
    [
      "ahead with an id",
      hello("1-6", { term: 0.5, seq: 9 }),
      leader({ from: { place: { term: 0.5, seq: 7 }, id: "1-1", isStolen: false } }),
      { entries: entries.slice(2), joins: "next" },
    ],
  ])("%s", (_, question, facts, expected) => {
    expect(history.missedBy(question, facts)).toEqual(expected);
  });

  describe("that is ahead of where its term began, without an id", () => {
    const place = { term: 0.5, seq: 7 };
    const ahead = hello("1-1", { term: 0.5, seq: 9 });
    const lead: Entry = { kind: "lead", term: 1, seq: 0, from: place };
    const told = [lead, entry(1, "1-1"), ...entries.slice(1)];
    const from = { place, id: "1-1", isStolen: false };
    const longer = createHistory();
    longer.add({ ...place, kind: "retry", ms: 1 });
    for (const each of told) longer.add(each);

    test("is all of its term", () => {
      expect(longer.missedBy(ahead, leader({ from }))).toEqual({ entries: told, joins: "next" });
    });

    test("is what has a new id, where both had a connection", () => {
      const stolen = leader({ from: { ...from, isStolen: true } });
      expect(longer.missedBy(ahead, stolen)).toEqual({ entries: told.slice(2), joins: "anew" });
      const [, ...silent] = told.slice(0, 2);
      const quiet = createHistory();
      for (const each of silent) quiet.add(each);
      expect(quiet.missedBy(ahead, stolen)).toEqual({ entries: [], joins: "anew" });
    });

    test("is not known once some of its term is forgotten, but without any id", () => {
      const long = createHistory();
      for (let seq = 0; seq < 2000; seq++) long.add(entry(seq, seq === 0 ? "1-1" : `e${seq}`));
      const facts = leader({ place: { term: 1, seq: 1999 }, id: "e1999", from, ordered: false });
      expect(long.missedBy(ahead, facts)).toBeUndefined();
      const idless = createHistory();
      for (let seq = 0; seq < 2000; seq++) idless.add(entry(seq, ""));
      const rest = idless.since({ term: 1, seq: 1500 });
      const got = idless.missedBy({ ...ahead, id: "" }, { ...facts, id: "", from: { ...from, id: "" } });
      expect(got?.joins).toBe("anew");
      expect(got?.entries.slice(-499)).toEqual(rest);
    });
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
