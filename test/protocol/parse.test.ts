import { createParser, type EventParser } from "everstream/protocol";
import { describe, expect, it } from "vitest";
import { isEverstreamError } from "../../src/errors.ts";
import { cutAt, eventsOf, everyCut, everyTwoCuts, parse, recorder } from "./harness.ts";

const encoder = new TextEncoder();
const code = (expected: string) => expect.objectContaining({ name: "EverstreamError", code: expected });

describe("chunks", () => {
  it("a line in 100,000 chunks takes time in proportion to its length", () => {
    const { parser, reports } = recorder({ maxEventBytes: Number.POSITIVE_INFINITY });
    const piece = encoder.encode("x".repeat(64));
    parser.push("data:");
    for (let count = 0; count < 100_000; count++) parser.push(piece);
    parser.push("\n\n");
    expect(reports).toEqual([["event", "message", "x".repeat(6_400_000), ""]]);
  });

  it("so does one of two-byte characters, each chunk beginning and ending inside of one", () => {
    const { parser, reports } = recorder({ maxEventBytes: Number.POSITIVE_INFINITY });
    const piece = encoder.encode("é".repeat(32));
    const cut = new Uint8Array([...piece.subarray(1), ...piece.subarray(0, 1)]);
    parser.push(encoder.encode("data:é").subarray(0, 6));
    for (let count = 0; count < 100_000; count++) parser.push(cut);
    parser.push(encoder.encode("é\n\n").subarray(1));
    expect(reports).toEqual([["event", "message", "é".repeat(3_200_001), ""]]);
  });

  it("so do a million empty lines, of either kind, and a million lines of data", () => {
    for (const lineEnd of ["\n", "\r", "\r\n"]) {
      const { parser, reports } = recorder({ maxEventBytes: Number.POSITIVE_INFINITY });
      parser.push(encoder.encode(lineEnd.repeat(1_000_000)));
      parser.push(encoder.encode(`data${lineEnd}`.repeat(1_000_000)));
      parser.push(lineEnd);
      expect(reports).toEqual([["event", "message", "\n".repeat(999_999), ""]]);
    }
  });

  it("so does a stream with one lone CR far behind", () => {
    const { parser, reports } = recorder();
    parser.push(`${"data:a\n\n".repeat(500_000)}:\r`);
    expect(reports.length).toBe(500_001);
  });

  it("empty chunks mean nothing", () => {
    const { parser, reports } = recorder();
    for (const chunk of ["", new Uint8Array(), "data:a\r", "", new Uint8Array(), "\n", "", "\r", ""])
      parser.push(chunk);
    expect(reports).toEqual([["event", "message", "a", ""]]);
  });

  it("bytes and strings may take turns where no character is cut", () => {
    expect(parse(["da", encoder.encode("ta: é"), "世", encoder.encode("\n"), "\n"])).toEqual([
      ["event", "message", "é世", ""],
    ]);
  });

  it("a string may be cut between the halves of a surrogate pair, and lone ones are kept", () => {
    expect(parse(["data:\ud83d", "\ude00 \ud83d\n\n"])).toEqual([["event", "message", "😀 \ud83d", ""]]);
  });

  it("views into larger buffers are read from where they start", () => {
    const buffer = encoder.encode("xxdata:a\n\nxx");
    expect(parse([buffer.subarray(2, 10)])).toEqual([["event", "message", "a", ""]]);
    expect(parse([Buffer.from("data:b\n\n")])).toEqual([["event", "message", "b", ""]]);
  });

  it("a chunk of megabytes is read to its end", () => {
    for (const letter of ["a", "é", "世", "😀"]) {
      const block = `id:${letter}\ndata:${letter.repeat(100)}\n\n`;
      for (const stream of [block.repeat(10_000), encoder.encode(block.repeat(10_000))]) {
        const { parser, reports } = recorder();
        parser.push(stream);
        expect(reports.length).toBe(10_000);
        expect(new Set(reports.map(String))).toEqual(
          new Set([`event,message,${letter.repeat(100)},${letter}`]),
        );
      }
    }
  });

  it("an id with NUL is ignored, beside ids without, in ASCII and in other text", () => {
    for (const letter of ["a", "é", "世", "😀"]) {
      const stream = encoder.encode(
        `id:${letter}\0b\nid:\0\nid:${letter}\nid:2\n\nid:\0${letter}\n\ndata\n\n`,
      );
      for (let place = 0; place <= stream.length; place++) {
        expect(parse(cutAt(stream, [place]))).toEqual([
          ["id", "2"],
          ["event", "message", "", "2"],
        ]);
      }
    }
  });

  it("a stream may change between ASCII and other text at any chunk", () => {
    const lines = ["a", "é", "b", "世界", "c", "", "😀", "d"];
    const stream = encoder.encode(lines.map((line) => `data:${line}\n\n`).join(""));
    const expected = lines.map((line) => ["event", "message", line, ""]);
    for (let size = 1; size <= stream.length; size++) {
      const places = Array.from({ length: Math.floor(stream.length / size) }, (_, index) => index * size);
      expect(parse(cutAt(stream, places))).toEqual(expected);
    }
  });
});

describe("the bound", () => {
  /** Pushes until the parser throws; says how much it took and what it threw. */
  function fill(parser: EventParser, piece: string | Uint8Array): { pushed: number; error: unknown } {
    for (let pushed = 0; pushed < 10_000; pushed++) {
      try {
        parser.push(piece);
      } catch (error) {
        return { pushed, error };
      }
    }
    return { pushed: 10_000, error: undefined };
  }

  for (const [name, start, piece] of [
    ["one endless line", "data:", "x"],
    ["one endless line of an unknown field", "foo:", "x"],
    ["a line that never gets a name", "", "x"],
    ["one endless comment", ":", "x"],
    ["lines of data without end", "", "data:x\n"],
    ["comments without end inside of a block", "data:\n", ":x\n"],
    ["unknown fields without end inside of a block", "id:\n", "foo:x\r\n"],
    ["ids and types without end", "", "id:1\revent:x\r"],
  ] as const) {
    it(`stops ${name}`, () => {
      for (const as of [(text: string) => text, (text: string) => encoder.encode(text)]) {
        const { parser } = recorder({ maxEventBytes: 1000 });
        parser.push(as(start));
        const { pushed, error } = fill(parser, as(piece));
        expect(error).toEqual(code("EVENT_TOO_LARGE"));
        expect(pushed).toBe(Math.floor((1000 - start.length) / piece.length));
      }
    });
  }

  it("is not for what comes between blocks and is not kept, as a foreign server's comments without blank lines", () => {
    for (const line of [":ping\n", ":пинг\r\n", "foo: x\r", "retry: 7\n", "event\n", "event: message\n"]) {
      const stream = `data:\n\n${line.repeat(1000)}data: 8\n\n`;
      for (const input of [stream, encoder.encode(stream)]) {
        for (const size of [1, 7, 64, input.length]) {
          const places = Array.from({ length: Math.ceil(input.length / size) }, (_, index) => index * size);
          const reports = parse(cutAt<string | Uint8Array>(input, places), { maxEventBytes: 16 });
          expect(eventsOf(reports).map(([, data]) => data)).toEqual(["", "8"]);
        }
      }
    }
  });

  it("is 1 MiB by default", () => {
    const { parser, reports } = recorder();
    const stream = `data:${"x".repeat(1_048_576 - 7)}\n\n`;
    parser.push(encoder.encode(stream));
    expect(reports.length).toBe(1);
    expect(() => parser.push(encoder.encode(stream.replace(":", ": ")))).toThrow(code("EVENT_TOO_LARGE"));
  });

  it("is for one block: any number of smaller ones may come", () => {
    const stream = ":c\nid:1\ndata:世\r\n\r\n".repeat(1000);
    for (const input of [stream, encoder.encode(stream)]) {
      for (const size of [1, 7, 64, input.length]) {
        const places = Array.from({ length: Math.ceil(input.length / size) }, (_, index) => index * size);
        expect(parse(cutAt<string | Uint8Array>(input, places), { maxEventBytes: 21 }).length).toBe(2000);
      }
    }
  });

  it("holds to the byte, at every two cuts, and all events before are reported once", () => {
    const blocks = [
      "😀\n\n",
      "data:é\n\n",
      "data:世界\n:c\r\r",
      "id:éé\r\ndata:b\r\n\r",
      "\ndata:😀😀😀\n\n",
    ];
    const sizes = blocks.map((block) => encoder.encode(block).length);
    const stream = encoder.encode(blocks.join(""));
    for (const max of sizes.flatMap((size) => [size - 1, size])) {
      const over = sizes.findIndex((size) => size > max);
      const expected = over < 0 ? 4 : Math.max(0, over - 1);
      for (const [name, chunks] of everyTwoCuts(stream)) {
        const { parser, reports } = recorder({ maxEventBytes: max });
        let error: unknown;
        try {
          for (const chunk of chunks) parser.push(chunk);
        } catch (thrown) {
          error = thrown;
        }
        const events = reports.filter(([kind]) => kind === "event").length;
        if (isEverstreamError(error, "EVENT_TOO_LARGE") === over >= 0 && events === expected) continue;
        expect.fail(`at most ${max}, ${name}: ${events} events, ${error}`);
      }
    }
  });

  it("holds to the byte where a character's end, one byte but two units, hides that another takes two", () => {
    const before = encoder.encode("😀\n\n");
    const block = encoder.encode("data:é, and more of it\n\n");
    const stream = new Uint8Array([...before, ...block]);
    const chunks = cutAt(stream, [3, before.length + 7]);
    expect(parse(chunks, { maxEventBytes: block.length }).length).toBe(1);
    expect(() => parse(chunks, { maxEventBytes: block.length - 1 })).toThrow(code("EVENT_TOO_LARGE"));
  });

  it("counts UTF-16 units in strings", () => {
    expect(parse(["data:世界\n\n"], { maxEventBytes: 9 }).length).toBe(1);
    expect(() => parse(["data:世界!\n\n"], { maxEventBytes: 9 })).toThrow(code("EVENT_TOO_LARGE"));
  });

  it("ends the parser", () => {
    const { parser } = recorder({ maxEventBytes: 4 });
    expect(() => parser.push("data:a\n\n")).toThrow(code("EVENT_TOO_LARGE"));
    expect(() => parser.push("\n")).toThrow(code("PARSER_ENDED"));
  });

  it("can be lifted, and is never lifted by a slip", () => {
    const large = `data:${"x".repeat(3_000_000)}\n\n`;
    expect(parse([large], { maxEventBytes: Number.POSITIVE_INFINITY }).length).toBe(1);
    for (const maxEventBytes of [Number.NaN, 0, -1]) {
      expect(() => parse(["data:a\n\n"], { maxEventBytes })).toThrow(code("EVENT_TOO_LARGE"));
    }
  });
});

describe("the parser's life", () => {
  it("nothing can be pushed after the end, which may come twice", () => {
    const { parser, reports } = recorder();
    parser.push("data:a\n");
    parser.end();
    parser.end();
    expect(() => parser.push("\n")).toThrow(code("PARSER_ENDED"));
    expect(reports).toEqual([]);
  });

  it("end() in a callback stops the reports at once, at every cut", () => {
    const stream = encoder.encode(":a\nretry:1\nid:2\n\ndata:é\n\ndata:b\n\n:c\n");
    for (const stop of ["comment", "retry", "id", "event"]) {
      for (const [name, chunks] of everyCut(stream)) {
        const seen: string[] = [];
        const on = (kind: string) => () => {
          seen.push(kind);
          if (kind === stop) parser.end();
        };
        const parser: EventParser = createParser({
          onEvent: on("event"),
          onId: on("id"),
          onRetry: on("retry"),
          onComment: on("comment"),
        });
        for (const chunk of chunks) {
          if (seen.includes(stop)) expect(() => parser.push(chunk)).toThrow(code("PARSER_ENDED"));
          else parser.push(chunk);
        }
        const order = ["comment", "retry", "id", "event"];
        expect(seen, name).toEqual(order.slice(0, order.indexOf(stop) + 1));
      }
    }
  });

  it("end() in a callback ends the bound's watch too", () => {
    const parser: EventParser = createParser({ onEvent: () => parser.end(), maxEventBytes: 10 });
    parser.push(`data:a\n\n${"x".repeat(100)}`);
    expect(() => parser.push("")).toThrow(code("PARSER_ENDED"));
  });

  it("an error in a callback leaves push and ends the parser", () => {
    const seen: string[] = [];
    const error = new Error("mine");
    const parser = createParser({
      onEvent: ({ data }) => {
        seen.push(data);
        if (data === "b") throw error;
      },
    });
    expect(() => parser.push("data:a\n\ndata:b\n\ndata:c\n\n")).toThrow(error);
    expect(() => parser.push("data:d\n\n")).toThrow(code("PARSER_ENDED"));
    expect(seen).toEqual(["a", "b"]);
  });

  it("push in a callback is refused; a callback that takes the refusal harms nothing", () => {
    const refusals: unknown[] = [];
    const seen: string[] = [];
    const parser = createParser({
      onEvent: ({ data }) => {
        seen.push(data);
        try {
          parser.push("data:x\n\n");
        } catch (error) {
          refusals.push(error);
        }
      },
    });
    parser.push("data:a\n\nda");
    parser.push("ta:b\n\n");
    expect(seen).toEqual(["a", "b"]);
    expect(refusals).toEqual([code("PARSER_ENDED"), code("PARSER_ENDED")]);
  });

  it("knows the last event ID as of the last blank line", () => {
    const { parser } = recorder({ lastEventId: "0" });
    expect(parser.lastEventId).toBe("0");
    parser.push("id:1\ndata:a\n");
    expect(parser.lastEventId).toBe("0");
    parser.push("\n");
    expect(parser.lastEventId).toBe("1");
    parser.push("id:2\n\nid:3\n");
    parser.end();
    expect(parser.lastEventId).toBe("2");
  });

  it("shows the last event ID to the callbacks of the block that sets it", () => {
    const seen: string[] = [];
    const parser: EventParser = createParser({
      onEvent: () => seen.push(parser.lastEventId),
      onId: () => seen.push(parser.lastEventId),
    });
    parser.push("id:1\ndata:a\n\nid:2\n\n");
    expect(seen).toEqual(["1", "2"]);
  });

  it("needs no callback but onEvent", () => {
    const parser = createParser({ onEvent: () => undefined });
    parser.push(":c\nretry:1\nid:1\n\n");
    expect(parser.lastEventId).toBe("1");
  });
});
