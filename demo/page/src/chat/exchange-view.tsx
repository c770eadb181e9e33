import type { RunResult } from "everstream/react";
import { useRun } from "everstream/react";
import { useEffect } from "react";
import { useNode } from "../ui/served-by.ts";
import { Markdown } from "./markdown.tsx";
import type { Exchange } from "./use-conversation.ts";

type RunState = NonNullable<RunResult["run"]>["state"];

/** An answer as it stands, for whoever shows the conversation around it. */
export interface AnswerState {
  readonly run: string;
  readonly state: RunState;
  readonly length: number;
  stop(): Promise<void>;
}

interface Props {
  readonly exchange: Exchange;
  readonly fetchStream: typeof fetch;
  /** Told of every change of the answer. Given to the last exchange alone. */
  readonly onChange: ((answer: AnswerState) => void) | undefined;
  readonly onAgain: (exchange: Exchange) => void;
  readonly onGoOn: (exchange: Exchange) => void;
}

const WORDS: Readonly<Record<RunState, string>> = {
  starting: "waiting for the answer",
  running: "answering",
  done: "done",
  error: "failed",
  stopped: "stopped",
  abandoned: "cut off",
  lost: "no longer followed",
};

/** A question, and its answer: a run, which is followed from its start, wherever it was asked for. */
export function ExchangeView({ exchange, fetchStream, onChange, onAgain, onGoOn }: Props) {
  const { run, status, stop, isRunning } = useRun("/api/runs", {
    id: exchange.run,
    fetch: fetchStream,
    pauseWhenHidden: true,
  });
  const { state = "starting", text = "", error } = run?.id === exchange.run ? run : {};
  const { length } = text;
  const node = useNode(`/api/runs/${exchange.run}`);
  useEffect(() => {
    onChange?.({ run: exchange.run, state, length, stop });
  }, [onChange, exchange.run, state, length, stop]);

  const isLast = onChange !== undefined;
  const isAway = isRunning && status.state === "waiting";
  return (
    <article className="exchange">
      <p className="question">{exchange.question}</p>
      <div className="answer" data-state={isRunning && !isAway ? "streaming" : state}>
        <Markdown text={text} />
        {text === "" && isRunning && <p />}
      </div>
      {(state === "error" || state === "lost") && (
        <p className="problem" role="alert">
          {error?.message}
        </p>
      )}
      {state === "abandoned" && (
        <p className="problem" role="alert">
          The server was restarted while it was answering.
        </p>
      )}
      <div className="exchange-foot">
        <p className="note">
          {isAway ? "connection lost, reconnecting" : WORDS[state]}
          {isRunning && !isAway && node !== undefined && <span className="node">{node}</span>}
        </p>
        {isLast && state === "abandoned" && (
          <button type="button" className="quiet" onClick={() => onGoOn(exchange)}>
            Go on
          </button>
        )}
        {isLast && run !== undefined && !isRunning && (
          <button type="button" className="quiet" onClick={() => onAgain(exchange)}>
            Regenerate
          </button>
        )}
      </div>
    </article>
  );
}
