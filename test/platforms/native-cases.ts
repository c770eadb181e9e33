import { type Case, GONE } from "./case.ts";

/** For runtimes that have an EventSource of their own: what our servers send must work with it. */
export const nativeCases: readonly Case[] = [
  {
    name: "native EventSource: a checkpoint of the type sse:live, an id and empty data sets the last event ID",
    answers: [
      { body: "retry: 1\nid: 1-1\ndata: a\n\nevent: sse:live\nid: 1-5\ndata:\n\n" },
      { body: "data: b\n\n", ending: "stall" },
    ],
    run: (url) =>
      new Promise((resolve) => {
        const source = new globalThis.EventSource(url);
        const seen: unknown[] = [];
        source.onmessage = ({ data, lastEventId }) => {
          seen.push([data, lastEventId]);
          if (data !== "b") return;
          source.close();
          resolve(seen);
        };
      }),
    seen: [
      ["a", "1-1"],
      ["b", "1-5"],
    ],
    requests: ["GET", "GET 1-5"],
  },
  {
    name: "native EventSource: resumes after an id of any characters",
    answers: [{ body: "retry: 1\nid: …é🙂\ndata: a\n\n" }, { body: "data: b\n\n", ending: "stall" }],
    run: (url) =>
      new Promise((resolve) => {
        const source = new globalThis.EventSource(url);
        source.onmessage = ({ data, lastEventId }) => {
          if (data !== "b") return;
          source.close();
          resolve(lastEventId);
        };
      }),
    seen: "…é🙂",
    requests: ["GET", "GET …é🙂"],
  },
  {
    name: "native EventSource: 204 ends it for good",
    answers: [{ body: "retry: 1\nid: 1-1\ndata: a\n\n" }, GONE],
    run: (url) =>
      new Promise((resolve) => {
        const source = new globalThis.EventSource(url);
        source.onerror = () => {
          if (source.readyState === source.CLOSED) resolve("closed");
        };
      }),
    seen: "closed",
    requests: ["GET", "GET 1-1"],
  },
];
