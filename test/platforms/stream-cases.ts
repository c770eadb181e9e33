// What a stream is for, and how it is left.
import { createEventStream, EventSource, openEventStream } from "everstream/client";
import type { FaultyAnswer } from "everstream/testing";
import { type Case, failure, GONE, ONE, take, WHOLE } from "./case.ts";

export const streamCases: readonly Case[] = [
  {
    name: "resumes after an id that is not ASCII",
    answers: [{ body: "id: é\ndata: a\n\n" }, { body: "data: b\n\n", ending: "stall" }],
    run: (url) => take(2, url),
    seen: ["a", "b"],
    requests: ["GET", "GET é"],
  },
  {
    // WebKit's fetch can't put these into a header.
    name: "resumes after an id of any characters, by header or query",
    answers: [
      { body: "id: …é🙂\ndata: a\n\n" },
      ({ headers, url }) => {
        const header = Uint8Array.from(`${headers["last-event-id"] ?? ""}`, (byte) => byte.charCodeAt(0));
        const query = new URL(url, "http://localhost").searchParams.get("lastEventId") ?? "";
        return { body: `data: ${new TextDecoder().decode(header)}${query}\n\n`, ending: "stall" };
      },
    ],
    run: (url) => take(2, url),
    seen: ["a", "…é🙂"],
  },
  {
    name: "resumes after a checkpoint, which shows nothing",
    answers: [
      { body: "event: sse:live\nid: 1-5\ndata:\n\n" },
      { body: "id: 1-6\ndata: b\n\n", ending: "stall" },
    ],
    run: (url) => take(1, url),
    seen: ["b"],
    requests: ["GET", "GET 1-5"],
  },
  {
    name: "sends a cursor that no header can carry in the query",
    answers: [({ url }) => ({ body: `data: ${url}\n\n`, ending: "stall" })],
    run: (url) => take(1, url, { initialLastEventId: " 1" }),
    seen: ["/?lastEventId=+1"],
    requests: ["GET"],
  },
  {
    name: "asks for headers before every attempt",
    answers: [{ body: ONE }, ({ headers }) => ({ body: `data: ${headers["x-token"]}\n\n`, ending: "stall" })],
    run: (url) => {
      let asked = 0;
      return take(2, url, { headers: async () => ({ "X-Token": `token ${++asked}` }) });
    },
    seen: ["🙂", "token 2"],
    requests: ["GET", "GET 1"],
  },
  {
    name: "sends a POST once, and says that it was lost",
    answers: [{ ending: "reset" }],
    run: (url) => failure(url, { method: "POST", body: "{}" }),
    seen: { data: [], code: "NOT_RESUMABLE" },
    requests: ["POST {}"],
  },
  {
    name: "resumes a POST by GET at its answer's Location",
    answers: [
      { headers: { Location: "/again" }, body: ONE },
      ({ url }) => ({ body: `data: ${url}\n\n`, ending: "stall" }),
    ],
    run: (url) => take(2, url, { method: "POST", body: "x" }),
    seen: ["🙂", "/again"],
    requests: ["POST x", "GET 1"],
  },
  {
    name: "tells of a gap, which is no event",
    answers: [
      {
        body: 'event: sse:gap\ndata: {"reason":"trimmed","after":"1-1","next":"1-5"}\n\ndata: a\n\n',
        ending: "stall",
      },
    ],
    run: async (url) => {
      const stream = openEventStream(url);
      const seen: unknown[] = [];
      stream.onGap((gap) => seen.push(gap));
      for await (const { data } of stream) {
        seen.push(data);
        break;
      }
      return seen;
    },
    seen: [{ reason: "trimmed", after: "1-1", next: "1-5" }, "a"],
  },
  {
    name: "ends where the server says that nothing more will come",
    answers: [{ body: `${ONE}event: sse:end\ndata: {}\n\n` }],
    run: (url) => failure(url),
    seen: { data: ["🙂"] },
    requests: ["GET"],
  },
  {
    name: "createEventStream gives tokens, and the whole text",
    answers: [
      {
        body: 'event: token\ndata: {"content":"Hel"}\n\nevent: token\ndata: {"content":"lo"}\n\nevent: done\ndata:\n\n',
        ending: "stall",
      },
    ],
    run: (url) =>
      new Promise((resolve, reject) => {
        const tokens: string[] = [];
        const stream = createEventStream(url);
        stream.onToken((content) => tokens.push(content));
        stream.onDone((full) => resolve([...tokens, full]));
        stream.onError(reject);
      }),
    seen: ["Hel", "lo", "Hello"],
    requests: ["GET"],
  },
  {
    name: "createEventStream does not run a prompt twice",
    answers: [{ body: 'event: token\ndata: {"content":"Hel"}\n\n' }],
    run: (url) =>
      new Promise((resolve) => {
        createEventStream(url).onError((error) => resolve((error as { code?: unknown }).code));
      }),
    seen: "NOT_RESUMABLE",
    requests: ["GET"],
  },
  {
    name: "EventSource reconnects after its last event ID, and 204 ends it",
    answers: [{ body: "retry: 1\nid: é\nevent: a\ndata: 1\n\n" }, { body: "event: a\ndata: 2\n\n" }, GONE],
    run: (url) =>
      new Promise((resolve) => {
        const source = new EventSource(url);
        const seen: unknown[] = [];
        source.onopen = () => seen.push("open");
        source.addEventListener("a", ({ data, lastEventId, origin }) =>
          seen.push([data, lastEventId, origin === new URL(url).origin]),
        );
        source.onerror = () => {
          seen.push(source.readyState);
          if (source.readyState === source.CLOSED) resolve(seen);
        };
      }),
    seen: ["open", ["1", "é", true], 0, "open", ["2", "é", true], 0, 2],
    requests: ["GET", "GET é", "GET é"],
  },
];

/** Where a client may ask whether its other request has arrived. */
export const READY = "/ready";

/** Leaves a request without an answer, and answers 204 to the question whether it has come. */
function unanswered(): FaultyAnswer {
  let came = false;
  return ({ url }) => {
    if (url !== READY) {
      came = true;
      return { delay: Number.POSITIVE_INFINITY };
    }
    const status = came ? 204 : 503;
    came = false;
    return { status };
  };
}

/** The runs of these resolve with their request still open at the server; it must see that it is given up. */
export const leavingCases: readonly Case[] = [
  {
    name: "leaving a loop gives the connection up",
    answers: [WHOLE],
    run: (url) => take(1, url),
    seen: ["🙂"],
    requests: ["GET"],
  },
  {
    name: "close() gives the connection up",
    answers: [WHOLE],
    run: (url) =>
      new Promise((resolve) => {
        const stream = openEventStream(url);
        stream.onEvent(() => {
          stream.close();
          resolve(stream.status.state);
        });
      }),
    seen: "closed",
    requests: ["GET"],
  },
  {
    name: "an aborted signal gives the connection up",
    answers: [WHOLE],
    run: async (url) => {
      const controller = new AbortController();
      const data: string[] = [];
      for await (const event of openEventStream(url, { signal: controller.signal })) {
        data.push(event.data);
        controller.abort();
      }
      return data;
    },
    seen: ["🙂"],
    requests: ["GET"],
  },
  {
    name: "a signal that aborts before the answer gives the request up",
    answers: [unanswered()],
    run: async (url) => {
      const controller = new AbortController();
      const opened = take(1, url, { signal: controller.signal, connectTimeout: 0 });
      while ((await fetch(new URL(READY, url))).status !== 204);
      controller.abort();
      return opened;
    },
    seen: [],
    requests: ["GET"],
  },
  {
    name: "EventSource.close() gives the connection up",
    answers: [WHOLE],
    run: (url) =>
      new Promise((resolve) => {
        const source = new EventSource(url);
        source.onmessage = ({ data }) => {
          source.close();
          resolve([data, source.readyState]);
        };
      }),
    seen: ["🙂", 2],
    requests: ["GET"],
  },
];
