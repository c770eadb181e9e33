import { createEventStream, type EventStream, openEventStream, type StreamEvent } from "everstream/client";

/** What the tests read and do, on `window.client`. */
export interface TestClient {
  readonly openEventStream: typeof openEventStream;
  readonly createEventStream: typeof createEventStream;
  readonly events: StreamEvent[];
  readonly states: string[];
  stream: EventStream;
}

declare global {
  var client: TestClient;
}

const events: StreamEvent[] = [];
const states: string[] = [];
const stream = openEventStream("/stream", { minDelay: 1, maxDelay: 50 });

globalThis.client = { openEventStream, createEventStream, events, states, stream };

if (typeof document === "undefined") {
  // In a worker: tell the page what arrives.
  stream.onEvent(({ data }) => globalThis.postMessage(data));
}
