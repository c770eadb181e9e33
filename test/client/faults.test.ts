// The client against everything that a server and a network can do wrong.
import { openEventStream, type StreamStatus } from "everstream/client";
import { type Fault, faultServer } from "everstream/testing";
import { describe, expect, onTestFinished, test } from "vitest";
import { closing, record, recordData } from "./server.ts";

const ONE = "id: 1\ndata: 🙂\n\n";
const BOTH = `${ONE}id: 2\ndata: two\n\n`;
/** What a server that knows about cursors sends after the first event. */
const REST: Fault = { body: "id: 2\ndata: two\n\n", ending: "stall" };
const CUT = Buffer.byteLength(ONE);

const faults: [name: string, faults: [Fault, ...Fault[]], data: string[], cursors: (string | undefined)[]][] =
  [
    [
      "a cut between events",
      [{ body: BOTH, bytes: CUT, ending: "cut" }, REST],
      ["🙂", "two"],
      [undefined, "1"],
    ],
    [
      "a cut inside of an event",
      [{ body: BOTH, bytes: CUT + 9, ending: "cut" }, REST],
      ["🙂", "two"],
      [undefined, "1"],
    ],
    [
      "a reset in the middle of a character",
      [
        { body: ONE, bytes: ONE.indexOf("🙂") + 2, ending: "reset" },
        { body: BOTH, ending: "stall" },
      ],
      ["🙂", "two"],
      [undefined, undefined],
    ],
    [
      "a stall, where a heartbeat was announced",
      [{ body: `: everstream heartbeat=10\n\n${ONE}`, ending: "stall" }, REST],
      ["🙂", "two"],
      [undefined, "1"],
    ],
    ["a good end", [{ body: ONE }, REST], ["🙂", "two"], [undefined, "1"]],
    [
      "500, then 200",
      [{ status: 500 }, { body: BOTH, ending: "stall" }],
      ["🙂", "two"],
      [undefined, undefined],
    ],
    [
      "Retry-After",
      [{ body: ONE }, { status: 503, headers: { "Retry-After": "0" } }, REST],
      ["🙂", "two"],
      [undefined, "1", "1"],
    ],
    ["slow headers", [{ delay: 30, body: BOTH, ending: "stall" }], ["🙂", "two"], [undefined]],
    [
      "no answer",
      [{ delay: Number.POSITIVE_INFINITY }, { body: BOTH, ending: "stall" }],
      ["🙂", "two"],
      [undefined, undefined],
    ],
    [
      "duplicate delivery",
      [{ body: ONE }, { body: BOTH, ending: "stall" }],
      ["🙂", "🙂", "two"],
      [undefined, "1"],
    ],
  ];

describe("a stream gets everything in spite of", () => {
  test.each(faults)("%s", async (_, script, data, cursors) => {
    const server = await faultServer(script);
    onTestFinished(() => server.close());
    const stream = closing(openEventStream(server.url, { minDelay: 1, maxDelay: 5, connectTimeout: 300 }));
    expect(await recordData(stream).count(data.length)).toEqual(data);
    expect(server.requests.map(({ headers }) => headers["last-event-id"])).toEqual(cursors);
  });
});

describe("a stream is not fooled by", () => {
  test.each<[name: string, fault: Fault, failure: StreamStatus["failure"] | object]>([
    [
      "another type",
      { headers: { "Content-Type": "text/html" }, body: "<p>" },
      { code: "CONTENT_TYPE", body: "<p>" },
    ],
    ["a refusal", { status: 403, body: "no" }, { code: "HTTP_STATUS", status: 403, body: "no" }],
    // fetch gives up after twenty; it is a network error then, for ever.
    ["a loop of redirects", { status: 302, headers: { Location: "/" } }, { code: "NETWORK" }],
  ])("%s", async (_, fault, failure) => {
    const server = await faultServer([fault]);
    onTestFinished(() => server.close());
    const stream = closing(openEventStream(server.url, { minDelay: 1, maxDelay: 5, maxRetries: 1 }));
    const failed = record<StreamStatus>();
    stream.onStatus((status) => {
      if (status.state === "failed") failed.add(status);
    });
    recordData(stream);
    expect((await failed.count(1))[0]?.failure).toMatchObject(failure as object);
  });
});
