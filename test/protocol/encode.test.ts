import { assertUserEventType, type EventFields, encodeEvent } from "everstream/protocol";
import { describe, expect, it } from "vitest";

const refused = (fields: unknown): string => {
  try {
    encodeEvent(fields as EventFields);
  } catch (error) {
    return `${(error as { code: string }).code}: ${(error as Error).message}`;
  }
  return "encoded";
};

describe("encodeEvent writes", () => {
  it("event, data, id and retry in this order, then a blank line", () => {
    expect(encodeEvent({ retry: 3000, id: "7", data: "x", event: "ping" })).toBe(
      "event: ping\ndata: x\nid: 7\nretry: 3000\n\n",
    );
  });

  it("one data line for each line, whatever ends it", () => {
    expect(encodeEvent({ data: "a\nb\rc\r\nd\n\re" })).toBe(
      "data: a\ndata: b\ndata: c\ndata: d\ndata: \ndata: e\n\n",
    );
  });

  it("a trailing line break as one more, empty line", () => {
    expect(encodeEvent({ data: "a\n" })).toBe("data: a\ndata: \n\n");
  });

  it("empty data as a line, and no data as none", () => {
    expect(encodeEvent({ data: "" })).toBe("data: \n\n");
    expect(encodeEvent({ event: "ping" })).toBe("event: ping\n\n");
  });

  it("an empty id, which resets the client's", () => {
    expect(encodeEvent({ id: "" })).toBe("id: \n\n");
  });

  it("an empty event type as none, since both mean message", () => {
    expect(encodeEvent({ event: "", data: "x" })).toBe("data: x\n\n");
  });

  it("a retry of 0", () => {
    expect(encodeEvent({ retry: 0 })).toBe("retry: 0\n\n");
  });

  it("a comment alone", () => {
    expect(encodeEvent({ comment: "keep-alive" })).toBe(": keep-alive\n\n");
    expect(encodeEvent({ comment: "" })).toBe(": \n\n");
  });

  it("comments first, each of their lines as a comment, so that none is read as a field", () => {
    expect(encodeEvent({ comment: "a\ndata: b\r\rid: c", data: "x" })).toBe(
      ": a\n: data: b\n: \n: id: c\ndata: x\n\n",
    );
  });

  it("leading spaces, colons and NUL where the format carries them", () => {
    expect(encodeEvent({ event: " a:\0", data: " : \0" })).toBe("event:  a:\0\ndata:  : \0\n\n");
  });

  it("everstream's own types", () => {
    expect(encodeEvent({ event: "sse:live", data: "" })).toBe("event: sse:live\ndata: \n\n");
  });
});

describe("encodeEvent refuses with INVALID_EVENT", () => {
  for (const [name, character] of [
    ["CR", "\r"],
    ["LF", "\n"],
  ] as const) {
    it(`${name} in event and id`, () => {
      for (const value of [character, `a${character}data: forged`, `${character}a`]) {
        expect(refused({ event: value, data: "" })).toMatch(/^INVALID_EVENT: `event` .*line break/);
        expect(refused({ id: value, data: "" })).toMatch(/^INVALID_EVENT: `id` .*line break/);
      }
    });
  }

  it("NUL in id", () => {
    expect(refused({ id: "a\0b" })).toMatch(/^INVALID_EVENT: `id` .*NUL/);
  });

  it("a retry that is no whole number of milliseconds from 0", () => {
    for (const retry of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, "1\ndata: forged", null]) {
      expect(refused({ retry })).toMatch(/^INVALID_EVENT: `retry` must be/);
    }
  });

  it("fields that are no strings", () => {
    for (const field of ["event", "data", "id", "comment"]) {
      for (const value of [null, 0, true, {}, ["a"], Symbol("a"), () => "a"]) {
        expect(refused({ [field]: value })).toMatch(
          new RegExp(`^INVALID_EVENT: \`${field}\` must be a string`),
        );
      }
    }
  });

  it("nothing at all", () => {
    for (const nothing of [{}, { data: undefined }, { event: "" }, "text", null, undefined]) {
      expect(refused(nothing)).toMatch(/^INVALID_EVENT: There is nothing to send/);
    }
  });
});

describe("assertUserEventType", () => {
  it("lets users' types pass", () => {
    for (const type of ["message", "sse", "SSE:live", " sse:live", "a:b", ""]) assertUserEventType(type);
  });

  it("refuses everstream's own with RESERVED_TYPE", () => {
    for (const type of ["sse:", "sse:live", "sse:mine"]) {
      expect(() => assertUserEventType(type)).toThrow(expect.objectContaining({ code: "RESERVED_TYPE" }));
    }
  });

  it("refuses what can't be a type at all with INVALID_EVENT", () => {
    for (const type of ["a\n", "\ra", 1, null, undefined]) {
      expect(() => assertUserEventType(type as string)).toThrow(
        expect.objectContaining({ code: "INVALID_EVENT" }),
      );
    }
  });
});
