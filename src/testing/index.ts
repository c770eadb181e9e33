/**
 * What tests of event streams need: events out of any response, a server on a free port whose connections can be cut,
 * and a client that records what really arrived. For Node, and for tests alone.
 */
export {
  type CollectOptions,
  collectEvents,
  type EventsSource,
  eventsOf,
  type ReadOptions,
} from "./events.ts";
export {
  type Fault,
  type FaultServer,
  type FaultyAnswer,
  type FaultyRequest,
  faultServer,
} from "./fault-server.ts";
export { connectRaw, type RawConnection, type RawRequestOptions, rawRequest } from "./raw-connection.ts";
export type { RawResponse } from "./raw-response.ts";
export { Recording } from "./recording.ts";
export { type Served, serveForTest, type TestServer } from "./serve.ts";
