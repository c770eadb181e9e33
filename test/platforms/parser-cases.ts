import { createParser } from "everstream/protocol";
import { type Case, GONE } from "./case.ts";

/** Every report that a parser makes of `chunks`. */
function reportsOf(chunks: readonly (Uint8Array | string)[]): unknown[] {
  const reports: unknown[] = [];
  const parser = createParser({
    onEvent: ({ event, data, lastEventId }) => reports.push([event, data, lastEventId]),
    onId: (id) => reports.push(["id", id]),
    onRetry: (ms) => reports.push(["retry", ms]),
    onComment: (text) => reports.push(["comment", text]),
  });
  for (const chunk of chunks) parser.push(chunk);
  parser.end();
  return reports;
}

const STREAM =
  "\ufeff: hi\nretry: 10\r\nevent: é\rdata: 世界 🙂\r\ndata\nid: …1\n\nid: 2\n\n\ufeffdata: x\ndata:\t\0\n\r\ndata: unfinished";
const REPORTS = [
  ["comment", "hi"],
  ["retry", 10],
  ["é", "世界 🙂\n", "…1"],
  ["id", "2"],
  ["message", "\t\0", "2"],
];

export const parserCases: readonly Case[] = [
  {
    name: "the parser reports the same at every split, of bytes and of strings",
    answers: [GONE],
    run: async () => {
      const bytes = new TextEncoder().encode(STREAM);
      const wanted = JSON.stringify(REPORTS);
      const wrong: string[] = [];
      for (const input of [bytes, STREAM]) {
        const cuts = [
          ...Array.from({ length: input.length + 1 }, (_, at) => [input.slice(0, at), input.slice(at)]),
        ];
        cuts.push(Array.from({ length: input.length }, (_, at) => input.slice(at, at + 1)));
        for (const [place, chunks] of cuts.entries()) {
          if (JSON.stringify(reportsOf(chunks)) !== wanted) wrong.push(`${typeof input} at ${place}`);
        }
      }
      return wrong;
    },
    seen: [],
  },
  {
    name: "the parser makes U+FFFD of what is no UTF-8, at every split",
    answers: [GONE],
    run: async () => {
      // A cut character before a line end, a lone continuation, an overlong form, a surrogate.
      const bad = [0xf0, 0x9f, 0x98, 10, 100, 97, 116, 97, 58, 0x80, 0xc0, 0x8a, 0xed, 0xa0, 0x80, 10, 10];
      const bytes = Uint8Array.from([100, 97, 116, 97, 58, ...bad]);
      const all = Array.from({ length: bytes.length + 1 }, (_, at) =>
        JSON.stringify(reportsOf([bytes.slice(0, at), bytes.slice(at)])),
      );
      return [...new Set(all)].map((reports) => JSON.parse(reports) as unknown);
    },
    seen: [[["message", `\ufffd\n${"\ufffd".repeat(6)}`, ""]]],
  },
];
