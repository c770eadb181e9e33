import { memo, useSyncExternalStore } from "react";
import { useFollow } from "./use-follow.ts";
import type { WireEntry, WireLog } from "./wire-log.ts";

/** What travelled, newest at the bottom. */
export function Wire({ log, label = "On the wire" }: { log: WireLog; label?: string }) {
  const entries = useSyncExternalStore(log.subscribe, log.getSnapshot);
  const { scroller, onScroll } = useFollow<HTMLOListElement>(entries);

  return (
    <div className="wire">
      <div className="wire-head">
        <h3>{label}</h3>
        <button type="button" className="quiet" onClick={log.clear} aria-label={`Clear: ${label}`}>
          Clear
        </button>
      </div>
      {/* A scroller must be reachable by keyboard. */}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: see above */}
      <ol ref={scroller} onScroll={onScroll} tabIndex={0} aria-label={`${label}: events as they arrive`}>
        {entries.length === 0 && <li className="wire-empty">Nothing yet.</li>}
        {entries.map((entry) => (
          <Entry key={entry.key} entry={entry} />
        ))}
      </ol>
    </div>
  );
}

const Entry = memo(function Entry({ entry }: { entry: WireEntry }) {
  if (entry.kind === "request") return <li className="wire-request">{entry.text}</li>;
  return (
    <li>
      {entry.text.split("\n").map((line, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: an entry never changes
        <Line key={at} line={line} />
      ))}
    </li>
  );
});

function Line({ line }: { line: string }) {
  const colon = line.indexOf(":");
  if (colon <= 0) return <span className="wire-comment">{line}</span>;
  return (
    <span>
      <span className="wire-field">{line.slice(0, colon + 1)}</span>
      <span className={line.startsWith("event:") ? "wire-type" : undefined}>{line.slice(colon + 1)}</span>
    </span>
  );
}
