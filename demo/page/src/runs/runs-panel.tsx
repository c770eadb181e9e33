import { useState } from "react";
import { type TopicEvent, useTopic } from "../api/use-topic.ts";
import { Connection } from "../ui/connection.tsx";
import { Panel } from "../ui/panel.tsx";
import { useOnScreen } from "../ui/use-on-screen.ts";
import { Wire } from "../ui/wire.tsx";
import { createWireLog } from "../ui/wire-log.ts";

/** A piece of the server's work, as everybody may know of it. */
interface Work {
  readonly label: string;
  readonly kind: "answer" | "upload";
  readonly state: "running" | "done" | "stopped" | "error" | "abandoned";
}

const MAX_SHOWN = 12;
const NOTHING: readonly Work[] = [];

export function RunsPanel() {
  const [log] = useState(createWireLog);
  const { place, onScreen } = useOnScreen<HTMLElement>();
  const options = { initial: NOTHING, reduce: receive, log, enabled: onScreen };
  const { data: works, status } = useTopic("/api/runs", options);
  return (
    <Panel
      place={place}
      title="Runs"
      lead="What the server is working on, for all to see; what was said stays with who asked."
      routes={["GET /api/runs"]}
      wire={<Wire log={log} />}
    >
      <p>
        <Connection status={status} path="/api/runs" />
      </p>
      <ul className="works" aria-label="Runs">
        {works.length === 0 && <li className="nothing">No runs yet.</li>}
        {works.map(({ label, kind, state }) => (
          <li key={label} data-state={state}>
            <span>{kind}</span>
            <code className="work-label">{label}</code>
            <span className="work-state">{state}</span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

/** The newest first; what changes keeps its place. */
function receive(works: readonly Work[], { type, data }: TopicEvent): readonly Work[] {
  if (type !== "run") return works;
  const work = data as Work;
  const at = works.findIndex(({ label }) => label === work.label);
  return at < 0 ? [work, ...works].slice(0, MAX_SHOWN) : works.with(at, work);
}
