// Everything that a server and a network can do wrong.
import { openEventStream } from "everstream/client";
import type { FaultyAnswer } from "everstream/testing";
import { type Case, CUT, failure, GONE, ONE, REST, TWO, take, WHOLE } from "./case.ts";

/** As a server that knows about cursors: whether the first event has arrived before a cut is not for it to say. */
const RESUMED: FaultyAnswer = ({ headers }) => (headers["last-event-id"] === "1" ? REST : WHOLE);

const faultCases: readonly Case[] = [
  ["a cut between events", [{ body: ONE + TWO, bytes: CUT, ending: "cut" }, RESUMED]],
  ["a cut inside of an event", [{ body: ONE + TWO, bytes: CUT + 9, ending: "cut" }, RESUMED]],
  [
    "a reset in the middle of a character",
    [{ body: ONE, bytes: ONE.indexOf("🙂") + 2, ending: "reset" }, WHOLE],
  ],
  // Whoever gets no time may take a connection for silent before it has looked what came.
  ["a stall", [{ body: `: everstream heartbeat=10\n\n${ONE}`, ending: "stall" }, RESUMED]],
  ["a good end", [{ body: ONE }, REST], ["GET", "GET 1"]],
  ["500, then 200", [{ status: 500 }, WHOLE], ["GET", "GET"]],
  [
    "Retry-After",
    [{ body: ONE }, { status: 503, headers: { "Retry-After": "0" } }, REST],
    ["GET", "GET 1", "GET 1"],
  ],
  ["slow headers", [{ delay: 30, body: ONE + TWO, ending: "stall" }], ["GET"]],
].map((row) => {
  const [name, answers, requests] = row as [string, Case["answers"], string[]?];
  const seen = ["🙂", "two"];
  const known = requests === undefined ? {} : { requests };
  return { name: `gets everything in spite of ${name}`, answers, run: (url) => take(2, url), seen, ...known };
});

const lossCases: readonly Case[] = [
  {
    name: "gets everything in spite of no answer",
    answers: [{ delay: Number.POSITIVE_INFINITY }, WHOLE],
    // The second one has as long as the first, on a machine that has much else to do.
    run: (url) => take(2, url, { connectTimeout: 3000 }),
    seen: ["🙂", "two"],
    requests: ["GET", "GET"],
  },
  {
    name: "hands out what a server sends twice",
    answers: [{ body: ONE }, WHOLE],
    run: (url) => take(3, url),
    seen: ["🙂", "🙂", "two"],
    requests: ["GET", "GET 1"],
  },
  {
    name: "is not fooled by another content type",
    answers: [{ headers: { "Content-Type": "text/html" }, body: "<p>" }],
    run: (url) => failure(url),
    seen: { data: [], code: "CONTENT_TYPE", status: 200, body: "<p>" },
    requests: ["GET"],
  },
  {
    name: "is not fooled by a refusal",
    answers: [{ status: 403, body: "no" }],
    run: (url) => failure(url),
    seen: { data: [], code: "HTTP_STATUS", status: 403, body: "no" },
    requests: ["GET"],
  },
  {
    name: "is not fooled by a loop of redirects",
    answers: [{ status: 302, headers: { Location: "/" } }],
    run: (url) => failure(url, { maxRetries: 1 }),
    seen: { data: [], code: "NETWORK" },
  },
  {
    name: "waits longer after each failure, and not at all after 204",
    answers: [{ status: 503 }, { status: 503 }, { status: 503 }, GONE],
    run: async (url) => {
      const stream = openEventStream(url, { minDelay: 1, maxDelay: 40 });
      const states: string[] = [];
      stream.onStatus(({ state, attempt }) => states.push(`${state} ${attempt}`));
      for await (const event of stream) states.push(event.data);
      return states;
    },
    seen: [
      "connecting 1",
      "waiting 1",
      "connecting 2",
      "waiting 2",
      "connecting 3",
      "waiting 3",
      "connecting 4",
      "closed 0",
    ],
    requests: ["GET", "GET", "GET", "GET"],
  },
  {
    name: "gives up when its retries are spent",
    answers: [{ status: 503, body: "busy" }],
    run: (url) => failure(url, { maxRetries: 2 }),
    seen: { data: [], code: "HTTP_STATUS", status: 503, body: "busy" },
    requests: ["GET", "GET", "GET"],
  },
];

export const troubleCases: readonly Case[] = [...faultCases, ...lossCases];
