import type { StreamStatus } from "everstream/client";
import { useNode } from "./served-by.ts";

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

/**
 * A stream's state as a dot and a word, with the server that it comes from where there are several. Changes are read out,
 * since they come without anybody's doing.
 */
export function Connection({ status, path }: { status: StreamStatus; path: string }) {
  const { state, attempt, failure } = status;
  const node = useNode(path);
  const detail = state === "waiting" && attempt > 1 ? `, try ${attempt + 1}` : "";
  return (
    <span className="connection" data-state={state} role="status" title={failure?.message}>
      {WORDS[state]}
      {/* Not read out, each time it is tried. */}
      {detail !== "" && <span aria-hidden="true">{detail}</span>}
      {state === "open" && node !== undefined && <span className="node">{node}</span>}
    </span>
  );
}
