/**
 * The parser, from bytes, against eventsource-parser fed by a streaming TextDecoder (what its users write), in one run.
 * Run by itself it also measures eventsource-parser 4.1, which asks for Node 22 and so is installed into a folder for the
 * moment, where that is possible. Needs the built package. `node bench/parser.js`
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { createParser as createOther } from "eventsource-parser";
import { createParser } from "../dist/protocol/index.js";

// Many short rounds rather than few long ones: then some of them are disturbed by nothing.
const EVENTS = 10_000;
const ROUNDS = 150;
const CHUNK_SIZES = [64, 1024, 16_384, Number.POSITIVE_INFINITY];

const WORDS = "the quick brown fox jumps over a lazy dog and then some more".split(" ");
const word = (index) => WORDS[index % WORDS.length];

const chunkOf = (content) =>
  `data: {"id":"chatcmpl-8f3cAbCdEf","object":"chat.completion.chunk","created":1718000000,"model":"gpt-4-turbo","choices":[{"index":0,"delta":{"content":"${content}"},"finish_reason":null}]}\n\n`;

/** What streams look like: an event each. The later ones are not ASCII, where a decoder takes half of the time and more. */
const STREAMS = {
  "token with id": (i) =>
    `event: token\ndata: {"content":" ${word(i)}"}\nid: 1k-${(100_000 + i).toString(36)}\n\n`,
  "token, no id": (i) => `event: token\ndata: {"content":" ${word(i)}"}\n\n`,
  "220 bytes, data alone": (i) => chunkOf(` ${word(i)}`),
  "CRLF token": (i) => `event: token\r\ndata: {"content":" ${word(i)}"}\r\n\r\n`,
  "Chinese token": (i) => `event: token\ndata: {"content":"世界你好 ${word(i)}"}\n\n`,
  "Chinese token with id": (i) =>
    `event: token\ndata: {"content":"世界你好 ${word(i)}"}\nid: 1k-${(100_000 + i).toString(36)}\n\n`,
  "220 bytes, Chinese": (i) => chunkOf(`世界你好 ${word(i)}`),
  "umlauts in one of 3": (i) => `event: token\ndata: {"content":" ${i % 3 === 0 ? "größer" : word(i)}"}\n\n`,
  "emoji in one of 20": (i) => `event: token\ndata: {"content":" ${i % 20 === 0 ? "😀" : word(i)}"}\n\n`,
};

/** Both count characters, so that neither can leave the data unread. */
const parsersWith = (createTheirs) => ({
  everstream: (count) => {
    const parser = createParser({ onEvent: ({ data }) => count(data.length) });
    return (chunk) => parser.push(chunk);
  },
  other: (count) => {
    const parser = createTheirs({ onEvent: ({ data }) => count(data.length) });
    const decoder = new TextDecoder();
    return (chunk) => parser.feed(decoder.decode(chunk, { stream: true }));
  },
});

function chunksOf(bytes, size) {
  if (size >= bytes.length) return [bytes];
  const chunks = [];
  for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.slice(at, at + size));
  return chunks;
}

/** One pass over all chunks: nanoseconds, and the characters of data that were seen. */
function pass(make, chunks) {
  let characters = 0;
  const push = make((length) => {
    characters += length;
  });
  const start = process.hrtime.bigint();
  for (const chunk of chunks) push(chunk);
  return { nanoseconds: Number(process.hrtime.bigint() - start), characters };
}

function compare(chunks, parsers) {
  const best = { everstream: Number.POSITIVE_INFINITY, other: Number.POSITIVE_INFINITY };
  // By turns, so that whatever else the machine does meets both; the best round is the least disturbed.
  for (let round = 0; round < ROUNDS; round++) {
    const seen = new Set();
    for (const [name, make] of Object.entries(parsers)) {
      const { nanoseconds, characters } = pass(make, chunks);
      best[name] = Math.min(best[name], nanoseconds);
      seen.add(characters);
    }
    if (seen.size !== 1) throw new Error("The parsers did not see the same data.");
  }
  return best;
}

/**
 * @param {typeof createOther} [createTheirs] The parser to compare with.
 * @returns {{ stream: string, chunk: string, everstream: number, other: number, ratio: number }[]} Events a second of
 *   this parser and of eventsource-parser with TextDecoder, and how many times the former is the latter.
 */
export function benchParser(createTheirs = createOther) {
  const parsers = parsersWith(createTheirs);
  return Object.entries(STREAMS).flatMap(([stream, event]) => {
    const bytes = new TextEncoder().encode(Array.from({ length: EVENTS }, (_, i) => event(i)).join(""));
    return CHUNK_SIZES.map((size) => {
      const best = compare(chunksOf(bytes, size), parsers);
      const perSecond = (nanoseconds) => (EVENTS / nanoseconds) * 1e9;
      return {
        stream,
        chunk: Number.isFinite(size) ? `${size} B` : "whole",
        everstream: perSecond(best.everstream),
        other: perSecond(best.other),
        ratio: best.other / best.everstream,
      };
    });
  });
}

/** eventsource-parser of that version from the registry; `undefined` where it can't be had, as offline. */
async function installed(version) {
  const folder = await mkdtemp(join(tmpdir(), "everstream-bench-"));
  try {
    await writeFile(join(folder, "package.json"), "{}");
    const wanted = [
      "install",
      "--no-audit",
      "--no-fund",
      "--ignore-scripts",
      `eventsource-parser@${version}`,
    ];
    await promisify(execFile)("npm", wanted, { cwd: folder, timeout: 60_000 });
    const entry = join(folder, "node_modules/eventsource-parser/dist/index.js");
    return (await import(pathToFileURL(entry).href)).createParser;
  } catch {
    return undefined;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function print(version, createTheirs) {
  const millions = (count) => `${(count / 1e6).toFixed(2)} M/s`.padStart(11);
  console.log(`\neventsource-parser ${version}${createTheirs === undefined ? ": not installed" : ""}`);
  if (createTheirs === undefined) return;
  console.log(`${"events".padEnd(24)}${"chunks".padEnd(9)} everstream  eventsource-parser  ratio`);
  for (const { stream, chunk, everstream, other, ratio } of benchParser(createTheirs)) {
    console.log(
      `${stream.padEnd(24)}${chunk.padEnd(9)}${millions(everstream)}${millions(other).padStart(20)}${ratio.toFixed(2).padStart(7)}`,
    );
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  print("3.1", createOther);
  print("4.1", await installed("4.1"));
}
