import { createParser, type EventParser, type ParserOptions } from "everstream/protocol";

/** What a parser reported, in order. Events are `[event, type, data, last event ID]`. */
export type Report =
  | ["event", string, string, string]
  | ["id", string]
  | ["retry", number]
  | ["comment", string];

export type Chunk = Uint8Array | string;

type Limits = Pick<ParserOptions, "lastEventId" | "maxEventBytes">;

/** A parser that writes down all that it reports. */
export function recorder(limits: Limits = {}): { parser: EventParser; reports: Report[] } {
  const reports: Report[] = [];
  const parser = createParser({
    ...limits,
    onEvent: ({ event, data, lastEventId }) => reports.push(["event", event, data, lastEventId]),
    onId: (id) => reports.push(["id", id]),
    onRetry: (ms) => reports.push(["retry", ms]),
    onComment: (comment) => reports.push(["comment", comment]),
  });
  return { parser, reports };
}

/** What these chunks and then the stream's end lead to. Each buffer of bytes is overwritten once it was pushed. */
export function parse(chunks: Iterable<Chunk>, limits?: Limits): Report[] {
  const { parser, reports } = recorder(limits);
  for (const chunk of chunks) {
    if (typeof chunk === "string") parser.push(chunk);
    else {
      const lent = chunk.slice();
      parser.push(lent);
      lent.fill(0x21);
    }
  }
  parser.end();
  return reports;
}

/** Only the events that reached a listener, as `[type, data, last event ID]`. */
export function eventsOf(reports: Report[]): [string, string, string][] {
  return reports.flatMap((report) =>
    report[0] === "event" ? [[report[1], report[2], report[3]] as const] : [],
  ) as [string, string, string][];
}

/** `input` cut at these places, in any order. */
export function cutAt<T extends Chunk>(input: T, places: Iterable<number>): T[] {
  const sorted = [...places].sort((a, b) => a - b);
  const chunks: T[] = [];
  let from = 0;
  for (const to of [...sorted, input.length]) {
    chunks.push(input.slice(from, to) as T);
    from = to;
  }
  return chunks;
}

/** Every way to cut `input` that the rules are tried with, by name: whole, by units, at every single place. */
export function* everyCut(input: Chunk): Generator<[name: string, chunks: Chunk[]]> {
  const kind = typeof input === "string" ? "as a string" : "as bytes";
  yield [`${kind}, whole`, [input]];
  yield [
    `${kind}, one by one`,
    cutAt(
      input,
      Array.from({ length: input.length }, (_, index) => index),
    ),
  ];
  for (let place = 0; place <= input.length; place++) {
    yield [`${kind}, cut at ${place}`, cutAt(input, [place])];
  }
}

/** Every way to cut `input` at two places. */
export function* everyTwoCuts<T extends Chunk>(input: T): Generator<[name: string, chunks: T[]]> {
  for (let first = 0; first <= input.length; first++) {
    for (let second = first; second <= input.length; second++) {
      yield [`cut at ${first} and ${second}`, cutAt(input, [first, second])];
    }
  }
}
