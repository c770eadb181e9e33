import type { StreamStatus } from "everstream/client";

const WORDS: Readonly<Record<StreamStatus["state"], string>> = {
  idle: "not connected",
  connecting: "connecting",
  open: "connected",
  stalled: "silent",
  waiting: "reconnecting",
  paused: "paused",
  closed: "closed",
  failed: "failed",
};

/** A stream's state as a dot and a word. Changes are read out, since they come without anybody's doing. */
export function Connection({ status }: { status: StreamStatus }) {
  const { state, attempt, failure } = status;
  const detail = state === "waiting" && attempt > 1 ? `, try ${attempt + 1}` : "";
  return (
    <span className="connection" data-state={state} role="status" title={failure?.message}>
      {WORDS[state]}
      {detail}
    </span>
  );
}
