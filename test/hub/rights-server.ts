import type { IncomingMessage } from "node:http";
import type { Hub, RespondOptions } from "everstream";
import { streamTopics } from "everstream/node";
import { type RawResponse, rawRequest, serveForTest, type TestServer } from "everstream/testing";

/** Serves a hub; what a request may have is looked up at each. */
export function serveHub(
  hub: Hub,
  optionsOf: (request: IncomingMessage) => RespondOptions,
): Promise<TestServer> {
  return serveForTest((request, response) => {
    streamTopics(request, response, hub, optionsOf(request)).catch((error: unknown) =>
      response.destroy(error as Error),
    );
  });
}

/** Asks as a browser's EventSource does, with the cursor that it came to. */
export function openSource(server: TestServer, path = "/", lastEventId?: string): Promise<RawResponse> {
  const headers: Record<string, string> = { Accept: "text/event-stream" };
  if (lastEventId !== undefined) headers["Last-Event-ID"] = lastEventId;
  return rawRequest(server, path, { headers });
}

/** The data of what came, without gaps, ends and checkpoints. */
export function dataOf({ events }: RawResponse): string[] {
  return events.filter(({ event }) => !event.startsWith("sse:")).map(({ data }) => data);
}

/** The cursor that a client has which got all of this. */
export function cursorOf({ events }: RawResponse): string {
  return events.at(-1)?.lastEventId ?? "";
}

export const gapsOf = ({ events }: RawResponse): unknown[] =>
  events.filter(({ event }) => event === "sse:gap").map(({ data }) => JSON.parse(data));
