import { type StreamRequest, useEventStream, useSSE } from "everstream/react";
import { useState } from "react";
import { Connection } from "../ui/connection.tsx";
import { Panel } from "../ui/panel.tsx";
import { noteNode } from "../ui/served-by.ts";
import { useOnScreen } from "../ui/use-on-screen.ts";
import { Wire } from "../ui/wire.tsx";
import { createWireLog, formatEvent } from "../ui/wire-log.ts";
import { usePageVisible } from "./use-page-visible.ts";

const URL = "/api/events";
const REQUEST: StreamRequest = {
  url: URL,
  fetch: async (input, init) => {
    const response = await fetch(input, init);
    noteNode(URL, response);
    return response;
  },
};

/** A tick's id, and how many came since the page was opened. */
interface Ticks {
  readonly last: string;
  readonly count: number;
}

export function ClockPanel() {
  const [log] = useState(createWireLog);
  const [wanted, setWanted] = useState(true);
  const visible = usePageVisible();
  const { place, onScreen } = useOnScreen<HTMLElement>();
  // Browsers allow six connections to a server; none should be held for a clock that nobody sees.
  const enabled = visible && onScreen && wanted;
  // First, so that it is this hook which opens the stream, after the last id that it saw.
  const { data: ticks, status } = useEventStream<Ticks>(REQUEST, {
    initial: { last: "", count: 0 },
    reduce: ({ count }, { lastEventId }) => ({ last: lastEventId, count: count + 1 }),
    onEvent: (event) => log.add(formatEvent(event)),
    enabled,
  });
  // Both hooks name the same stream, so there is one connection.
  const { data, error, isConnected } = useSSE<{ time: number }>(enabled ? URL : null);

  return (
    <Panel
      place={place}
      title="Clock"
      lead="The server's time each second. After a break its ids go on rising."
      routes={["GET /api/events"]}
      wire={<Wire log={log} />}
    >
      <p className="clock" data-live={isConnected}>
        <time dateTime={data === null ? undefined : new Date(data.time).toISOString()}>
          {data === null ? "--:--:--" : new Date(data.time).toLocaleTimeString("en-GB")}
        </time>
      </p>
      <dl className="facts">
        <dt>Connection</dt>
        <dd>
          <Connection status={status} path={URL} />
        </dd>
        <dt>Last id</dt>
        <dd className="digits">{ticks.last || "none"}</dd>
        <dt>Ticks</dt>
        <dd className="digits">{ticks.count}</dd>
      </dl>
      {error !== null && <p className="problem">{error.message}</p>}
      <div className="row">
        <button type="button" className="plain" onClick={() => setWanted(!wanted)}>
          {wanted ? "Disconnect" : "Connect"}
        </button>
      </div>
    </Panel>
  );
}
