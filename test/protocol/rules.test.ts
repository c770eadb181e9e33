import { describe, expect, it } from "vitest";
import { everyCut, parse, type Report } from "./harness.ts";

const encoder = new TextEncoder();

/** One sentence of the standard: `stream` leads to `reports`, as bytes and as a string, however it is cut. */
function rule(sentence: string, stream: string, reports: Report[], lastEventId?: string): void {
  it(sentence, () => {
    const limits = lastEventId === undefined ? {} : { lastEventId };
    for (const input of [encoder.encode(stream), stream]) {
      for (const [name, chunks] of everyCut(input)) expect(parse(chunks, limits), name).toEqual(reports);
    }
  });
}

/** The same for bytes that are no UTF-8. */
function bytesRule(sentence: string, stream: number[], reports: Report[]): void {
  it(sentence, () => {
    for (const [name, chunks] of everyCut(Uint8Array.from(stream)))
      expect(parse(chunks), name).toEqual(reports);
  });
}

const message = (data: string, lastEventId = ""): Report => ["event", "message", data, lastEventId];

describe("grammar (HTML 9.2.5)", () => {
  rule("a stream may be empty", "", []);
  rule("a stream may be a BOM alone", "\ufeff", []);
  rule("an event is fields and comments, ended by a blank line", ":c\ndata:a\nevent:b\n:d\n\n", [
    ["comment", "c"],
    ["comment", "d"],
    ["event", "b", "a", ""],
  ]);
  rule("a line ends with LF", "data:a\n\n", [message("a")]);
  rule("a line ends with CR", "data:a\r\r", [message("a")]);
  rule("a line ends with CRLF", "data:a\r\n\r\n", [message("a")]);
  rule("line ends may be mixed", "data:a\r\ndata:b\rdata:c\ndata:d\n\r\ndata:e\r\rdata:f\n\n", [
    message("a\nb\nc\nd"),
    message("e"),
    message("f"),
  ]);
  rule("LF then CR are two line ends", "data:a\n\rdata:b\n\n", [message("a"), message("b")]);
  rule("a comment begins with a colon and may be empty", ":\n: a\n:  b\n::\n\n", [
    ["comment", ""],
    ["comment", "a"],
    ["comment", " b"],
    ["comment", ":"],
  ]);
  rule("a field may have no colon, no space and no value", "data\ndata:\ndata: \n\n", [message("\n\n")]);
  rule("a field's name may hold NUL, and is another name then", "data\0:a\n\0data:b\ndata:c\n\n", [
    message("c"),
  ]);
  rule("a value may hold anything but CR and LF", "data:\0\u0001\u0085\u2028\u2029\u{10ffff}\n\n", [
    message("\0\u0001\u0085\u2028\u2029\u{10ffff}"),
  ]);
  rule("the stream is UTF-8", "event:é\ndata:世界 😀\nid:…\n\n", [["event", "é", "世界 😀", "…"]]);
});

describe("decoding (HTML 9.2.6)", () => {
  rule("one BOM at the stream's start is dropped", "\ufeffdata:a\n\n", [message("a")]);
  rule("a second BOM belongs to the first field's name", "\ufeff\ufeffdata:a\ndata:b\n\n", [message("b")]);
  rule("a BOM elsewhere is data", "data:\ufeffa\n\n\ufeffdata:b\ndata:c\n\n", [
    message("\ufeffa"),
    message("c"),
  ]);
  rule("a BOM may be followed by a blank line", "\ufeff\ndata:a\n\n", [message("a")]);
  rule("characters that look like a BOM's bytes are kept", "ï»¿data:a\ndata:b\n\n", [message("b")]);
  bytesRule(
    "bytes that are no UTF-8 become U+FFFD",
    [...encoder.encode("data:"), 0xff, 0xc3, 0x28, 10, 10],
    [message("\ufffd\ufffd(")],
  );
  bytesRule(
    "a cut character becomes one U+FFFD, and the line end after it is one",
    [...encoder.encode("data:"), 0xf0, 0x9f, 0x98, 10, 0xe4, 0xb8, 10, ...encoder.encode("data:b"), 13, 13],
    [message("\ufffd\nb")],
  );
  bytesRule(
    "overlong forms and surrogates are no UTF-8",
    [...encoder.encode("data:"), 0xc0, 0x8a, 0xed, 0xa0, 0x80, 10, 10],
    [message("\ufffd\ufffd\ufffd\ufffd\ufffd")],
  );
  bytesRule("a cut BOM is no BOM", [0xef, 0xbb, ...encoder.encode("data:a\ndata:b\n\n")], [message("b")]);
});

describe("lines (HTML 9.2.6)", () => {
  rule("a CR ends its line, and the LF after it belongs to it", "data:a\r\ndata:b\r\n\r\ndata:c\r\n\r\n", [
    message("a\nb"),
    message("c"),
  ]);
  rule("a line that starts with a colon is ignored", ":data:a\ndata:b\n:data:c\n\n", [
    ["comment", "data:a"],
    ["comment", "data:c"],
    message("b"),
  ]);
  rule("the field's name is what stands before the first colon", "data:a:b:\n\n", [message("a:b:")]);
  rule("one space after the colon is dropped, and only one", "data: a\ndata:  b\ndata:c \n\n", [
    message("a\n b\nc "),
  ]);
  rule("a tab after the colon is kept", "data:\ta\n\n", [message("\ta")]);
  rule("a line without a colon is a name with an empty value", "data\nevent\nid\nretry\n\n", [message("")]);
  rule("a name without a colon is the whole line", "data \ndatab\ndat\nd\nevents\nids\ni\n\n", []);
});

describe("fields (HTML 9.2.6)", () => {
  rule("names are compared literally", " data:a\nData:b\nDATA:c\ndata :d\nEVENT:e\nID:f\ndata:g\n\n", [
    message("g"),
  ]);
  rule("names are compared whole", "d:a\nda:b\ndatas:c\ni:d\nidx:e\ne:f\nevents:g\nretries:1\n\n", []);
  const misspelt = ["data", "event", "id", "retry"].flatMap((name) =>
    [...name].map((_, place) => `${name.slice(0, place)}x${name.slice(place + 1)}`),
  );
  rule(
    "a name with one letter wrong is another name",
    `${misspelt.map((name) => `${name}:1\n${name}\n${name}: 2\n`).join("")}data:a\n\n`,
    [message("a")],
  );
  rule("`event` sets the type", "event:a\ndata:b\n\n", [["event", "a", "b", ""]]);
  rule("the last `event` counts", "event:a\nevent:b\ndata:c\n\n", [["event", "b", "c", ""]]);
  rule("an empty type is `message`", "event:a\nevent:\ndata:b\n\nevent:a\nevent\ndata:c\n\n", [
    message("b"),
    message("c"),
  ]);
  rule("a type may hold spaces and colons", "event:  a:b \ndata:c\n\n", [["event", " a:b ", "c", ""]]);
  rule("`data` appends its value and an LF", "data:a\ndata:\ndata:b\n\n", [message("a\n\nb")]);
  rule("`id` sets the last event ID", "id:1\ndata:a\n\n", [message("a", "1")]);
  rule("the last `id` of a block counts", "id:1\ndata:a\nid:2\n\n", [message("a", "2")]);
  rule("an `id` with NUL is ignored", "id:1\nid:2\0\nid:\0\ndata:a\n\nid:a\0b\ndata:b\n\n", [
    message("a", "1"),
    message("b", "1"),
  ]);
  rule("NUL in another field does not touch the id", "data:\0\nid:1\n:\0\n\nid:2\ndata:a\0\n\n", [
    ["comment", "\0"],
    message("\0", "1"),
    message("a\0", "2"),
  ]);
  rule("a block whose only id has NUL reports none", "id:\0\n\n", []);
  rule(
    "an empty `id` resets the last event ID",
    "id:1\ndata:a\n\nid:\ndata:b\n\nid:2\ndata:c\n\nid\ndata:d\n\n",
    [message("a", "1"), message("b", ""), message("c", "2"), message("d", "")],
  );
  rule("`retry` sets the reconnection time at once", "retry:3000\n: then\nretry: 0\n", [
    ["retry", 3000],
    ["comment", "then"],
    ["retry", 0],
  ]);
  rule("`retry` is read in base ten", "retry:03000\n\n", [["retry", 3000]]);
  rule(
    "`retry` that is not digits alone is ignored",
    "retry:\nretry\nretry:1000x\nretry:x1\nretry:-1\nretry:+1\nretry:1.5\nretry:1e3\nretry:0x10\nretry:  1\nretry:1 \nretry:١\n\n",
    [],
  );
  rule(
    "a `retry` of more digits than a number holds is the largest exact one",
    `retry:${"9".repeat(400)}\n\n`,
    [["retry", Number.MAX_SAFE_INTEGER]],
  );
  rule("other fields are ignored", "foo:bar\nfoo\ndata:a\nX-Y: z\n\n", [message("a")]);
});

describe("dispatch (HTML 9.2.6)", () => {
  rule("a block of `id` alone sets the last event ID and fires nothing", "id:1\n\ndata:a\n\n", [
    ["id", "1"],
    message("a", "1"),
  ]);
  rule("such a block may name a type", "event:sse\nid:1\n\n", [["id", "1"]]);
  rule("such a block may repeat or reset the id", "id:1\n\nid:1\n\nid\n\n", [
    ["id", "1"],
    ["id", "1"],
    ["id", ""],
  ]);
  rule("the id takes effect when its block is closed", "id:1\n:c\ndata:a\n\nid:2\n", [
    ["comment", "c"],
    message("a", "1"),
  ]);
  rule("the last event ID stays for later blocks", "id:1\ndata:a\n\ndata:b\n\n:c\n\ndata:d\n\n", [
    message("a", "1"),
    message("b", "1"),
    ["comment", "c"],
    message("d", "1"),
  ]);
  rule("a block without data fires nothing and clears the type", "event:a\n\ndata:b\n\n", [message("b")]);
  rule("empty data fires an event", "data\n\ndata:\n\n", [message(""), message("")]);
  rule("one trailing LF is dropped, and only one", "data\ndata\n\ndata:a\ndata\n\n", [
    message("\n"),
    message("a\n"),
  ]);
  rule("type and data are cleared afterwards", "event:a\ndata:b\n\ndata:c\n\n", [
    ["event", "a", "b", ""],
    message("c"),
  ]);
  rule("further blank lines mean nothing", "\n\n\ndata:a\n\n\n\ndata:b\n\n", [message("a"), message("b")]);
  rule("an unfinished last block is dropped", "data:a\n\ndata:b\n", [message("a")]);
  rule("an unfinished last line is dropped", "data:a\n\ndata:b\n\ndata:c", [message("a"), message("b")]);
  rule("an unfinished retry or comment is dropped", "retry:1\n:a\nretry:2", [
    ["retry", 1],
    ["comment", "a"],
  ]);
  rule(
    "the last event ID starts as the caller's",
    "data:a\n\nid:2\ndata:b\n\n",
    [message("a", "1"), message("b", "2")],
    "1",
  );
  rule(
    "the caller's id may be reset",
    "data:a\n\nid\n\ndata:b\n\n",
    [message("a", "é"), ["id", ""], message("b")],
    "é",
  );
});
