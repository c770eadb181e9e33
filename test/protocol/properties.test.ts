import { createParser as createOther } from "eventsource-parser";
import { type EventFields, encodeEvent } from "everstream/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Chunk, cutAt, eventsOf, parse, type Report, recorder } from "./harness.ts";

// fast-check prints the seed and the path of a failing run; give them to `fc.assert` to run it again.
const RUNS = { numRuns: 2000 };

const encoder = new TextEncoder();

/** Sections 9.2.5 and 9.2.6 of the standard at their plainest: the whole stream at once, line by line. */
function model(stream: string): Report[] {
  const reports: Report[] = [];
  const lines = (stream.startsWith("\ufeff") ? stream.slice(1) : stream).split(/\r\n|\r|\n/);
  lines.pop();
  let data = "";
  let type = "";
  let buffered = "";
  let idSet = false;
  for (const line of lines) {
    if (line === "") {
      if (data !== "") reports.push(["event", type || "message", data.slice(0, -1), buffered]);
      else if (idSet) reports.push(["id", buffered]);
      data = "";
      type = "";
      idSet = false;
      continue;
    }
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (colon === 0) reports.push(["comment", value]);
    else if (name === "event") type = value;
    else if (name === "data") data += `${value}\n`;
    else if (name === "id" && !value.includes("\0")) {
      buffered = value;
      idSet = true;
    } else if (name === "retry" && /^[0-9]+$/.test(value)) {
      reports.push(["retry", Math.min(Number(value), Number.MAX_SAFE_INTEGER)]);
    }
  }
  return reports;
}

/** Places to cut at, few or many. */
const places = fc.array(fc.nat(), { maxLength: 30 });

function cut<T extends Chunk>(input: T, at: number[]): T[] {
  return cutAt(
    input,
    at.map((place) => place % (input.length + 1)),
  );
}

// Pieces that meet each other in all the ways which matter to a parser of this format.
const fragment = fc.constantFrom(
  ..."\n,\n,\n,\r,\r\n,\n\n,:, ,\ufeff,\0,a,é,世,😀,data,data:,data: ,event:,event,id:,id,retry:,retry: ,12,dat,datab".split(
    ",",
  ),
  "data:hello\n\n",
  "id: 7\n",
  "event: tick\r\n",
);
const stream = fc.array(fragment, { maxLength: 60 }).map((parts) => parts.join(""));

const malformed = fc.constantFrom(
  [0xff],
  [0xc3],
  [0xe4, 0xb8],
  [0xf0, 0x9f, 0x98],
  [0x80],
  [0xef, 0xbb],
  [0xed, 0xa0],
);
const byteStream = fc
  .array(
    fc.oneof(
      fragment.map((part) => [...encoder.encode(part)]),
      malformed,
    ),
    { maxLength: 60 },
  )
  .map((parts) => Uint8Array.from(parts.flat()));

describe("the parser, against the standard read line by line", () => {
  it("reports the same for strings, however they are cut", () => {
    fc.assert(
      fc.property(stream, places, (text, at) => {
        expect(parse(cut(text, at))).toEqual(model(text));
      }),
      RUNS,
    );
  });

  it("reports the same for bytes, malformed ones too, as for what TextDecoder makes of them", () => {
    fc.assert(
      fc.property(byteStream, places, (bytes, at) => {
        expect(parse(cut(bytes, at))).toEqual(
          model(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes)),
        );
      }),
      RUNS,
    );
  });

  it("reports the same for any bytes at all", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), places, (bytes, at) => {
        expect(parse(cut(bytes, at))).toEqual(
          model(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes)),
        );
      }),
      RUNS,
    );
  });

  it("throws at the same block for any bound, however bytes are cut", () => {
    /** Where the first block over the bound begins: after the last line that left nothing pending. */
    const firstOver = (bytes: Uint8Array, max: number): number | undefined => {
      const pending = new Map<string, string>();
      let from = 0;
      let line = "";
      for (const [index, byte] of bytes.entries()) {
        if (index + 1 - from > max) return from;
        if (byte === 10 && bytes[index - 1] === 13) continue;
        if (byte !== 10 && byte !== 13) {
          line += String.fromCharCode(byte);
          continue;
        }
        const [, name = "", value = ""] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
        if (line === "") pending.clear();
        else if (name === "event" && ["", "message"].includes(value)) pending.delete(name);
        else if (["event", "data"].includes(name) || (name === "id" && !value.includes("\0"))) {
          pending.set(name, value);
        }
        line = "";
        if (pending.size === 0) from = index + 1;
      }
      return undefined;
    };
    const noBom = byteStream.filter((bytes) => bytes[0] !== 0xef);
    fc.assert(
      fc.property(noBom, places, fc.integer({ min: 1, max: 40 }), (bytes, at, maxEventBytes) => {
        const over = firstOver(bytes, maxEventBytes);
        const { parser, reports } = recorder({ maxEventBytes });
        let thrown = false;
        try {
          for (const chunk of cut(bytes, at)) parser.push(chunk);
        } catch {
          thrown = true;
        }
        expect(thrown).toBe(over !== undefined);
        expect(eventsOf(reports)).toEqual(eventsOf(parse([bytes.subarray(0, over)])));
      }),
      RUNS,
    );
  });
});

describe("parse(encode(x)) = x", () => {
  const line = fc.string({ unit: "binary", maxLength: 12 });
  const text = fc.array(fc.oneof(line, fc.constantFrom("\n", "\r", "\r\n", " ", ":", "\ufeff")), {
    maxLength: 6,
  });
  const name = line.map((value) => value.replace(/[\r\n]/g, ""));
  const some = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: undefined });
  const fields = fc
    .record({
      event: some(name),
      data: some(text.map((parts) => parts.join(""))),
      id: some(name.map((value) => value.replaceAll("\0", ""))),
      retry: some(fc.maxSafeNat()),
      comment: some(text.map((parts) => parts.join(""))),
    })
    .filter(
      ({ event, data, id, retry, comment }) =>
        Boolean(event) || [data, id, retry, comment].some((x) => x !== undefined),
    );

  const lines = (value: string): string[] => value.split(/\r\n|\r|\n/);

  /** What a client must see of these blocks: all of it, but that each line end has become an LF. */
  function seen(blocks: EventFields[]): Report[] {
    let lastEventId = "";
    return blocks.flatMap(({ event, data, id, retry, comment }) => {
      lastEventId = id ?? lastEventId;
      const reports: Report[] = [];
      if (comment !== undefined) reports.push(...lines(comment).map((each): Report => ["comment", each]));
      if (retry !== undefined) reports.push(["retry", retry]);
      if (data !== undefined)
        reports.push(["event", event || "message", lines(data).join("\n"), lastEventId]);
      else if (id !== undefined) reports.push(["id", id]);
      return reports;
    });
  }

  it("for bytes and strings, cut anywhere", () => {
    fc.assert(
      fc.property(fc.array(fields, { maxLength: 8 }), places, (blocks, at) => {
        const encoded = blocks.map(encodeEvent).join("");
        expect(parse(cut(encoded, at))).toEqual(seen(blocks));
        expect(parse(cut(encoder.encode(encoded), at))).toEqual(seen(blocks));
      }),
      RUNS,
    );
  });

  it("for lone surrogates too as strings, and as U+FFFD over the wire", () => {
    const wild = fc
      .array(fc.constantFrom("\ud800", "\udc00", "a", "\n"), { maxLength: 10 })
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(wild, places, (data, at) => {
        const encoded = encodeEvent({ data });
        expect(eventsOf(parse(cut(encoded, at)))).toEqual([["message", data, ""]]);
        const wellFormed = new TextDecoder().decode(encoder.encode(data));
        expect(eventsOf(parse(cut(encoder.encode(encoded), at)))).toEqual([["message", wellFormed, ""]]);
      }),
    );
  });
});

describe("eventsource-parser 3.1 reads the same", () => {
  /*
   * Its faults, which the comparison keeps clear of:
   * - A BOM is known to it only as the three characters ï»¿, so strings that begin with a real one go wrong.
   * - A CR at a chunk's end waits for the next chunk; at the stream's end its line is lost.
   * - The last event ID is forgotten after each block, and a block of `id` alone is not reported at all: only the ids
   *   of events that bring their own are compared.
   * - It reads a `retry` of any number of digits, to Infinity.
   */
  it("where its faults do not show", () => {
    const comparable = stream.filter((text) => !/^[\ufeffï]/.test(text)).map((text) => `${text}\n`);
    fc.assert(
      fc.property(comparable, places, (text, at) => {
        const other: Report[] = [];
        const ids: (string | undefined)[] = [];
        const parser = createOther({
          onEvent: ({ event = "message", data, id }) => {
            other.push(["event", event, data, ""]);
            ids.push(id);
          },
          onRetry: (ms) => other.push(["retry", Math.min(ms, Number.MAX_SAFE_INTEGER)]),
          onComment: (comment) => other.push(["comment", comment]),
        });
        for (const chunk of cut(text, at)) parser.feed(chunk);

        const ours = parse(cut(text, at)).filter(([kind]) => kind !== "id");
        for (const [index, [, , lastEventId]] of eventsOf(ours).entries()) {
          expect(lastEventId).toBe(ids[index] ?? lastEventId);
        }
        expect(ours.map((report) => (report[0] === "event" ? [...report.slice(0, 3), ""] : report))).toEqual(
          other,
        );
      }),
      RUNS,
    );
  });
});
