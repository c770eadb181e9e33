import { type FormEvent, useId, useRef, useState } from "react";
import { keepFocus } from "../ui/keep-focus.ts";
import { Panel } from "../ui/panel.tsx";
import { useFollow } from "../ui/use-follow.ts";
import { Wire } from "../ui/wire.tsx";
import { createWireLog } from "../ui/wire-log.ts";
import { type AnswerState, ExchangeView } from "./exchange-view.tsx";
import { useConversation } from "./use-conversation.ts";

const SUGGESTIONS = [
  "How does a client resume after a lost connection?",
  "What is the heartbeat for?",
  "How do I use it in React?",
];

export function ChatPanel() {
  const [log] = useState(createWireLog);
  const { exchanges, problem, ask, again, goOn, stop, renew } = useConversation(log);
  const [answer, setAnswer] = useState<AnswerState>();
  const [question, setQuestion] = useState("");
  const id = useId();
  const field = useRef<HTMLInputElement>(null);
  const last = exchanges.at(-1);
  const current = answer?.run === last?.run ? answer : undefined;
  const streaming = current?.state === "starting" || current?.state === "running";
  const { scroller, onScroll } = useFollow<HTMLDivElement>(
    `${last?.run} ${current?.state} ${current?.length}`,
  );

  const onSubmit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (question.trim() === "") return;
    setQuestion("");
    // What could not be asked is not to be typed once more.
    if (!(await ask(question.trim()))) setQuestion((typed) => typed || question);
  };
  /** For buttons that go away, or come to rest, when they are pressed. */
  const thenType =
    <Values extends unknown[]>(act: (...values: Values) => unknown) =>
    (...values: Values): void => {
      keepFocus(field.current);
      void act(...values);
    };

  return (
    <Panel
      title="Chat"
      lead="Answers are runs: they go on without you, and a reload or another tab finds them."
      routes={["GET /api/chat/:conversation", "POST, GET, DELETE /api/runs/:id"]}
      wire={<Wire log={log} />}
    >
      <div className="chat">
        <div
          className="chat-log"
          ref={scroller}
          onScroll={onScroll}
          // biome-ignore lint/a11y/noNoninteractiveTabindex: a scroller must be reachable by keyboard
          tabIndex={0}
          role="log"
          aria-label="Conversation"
          aria-busy={streaming}
        >
          {exchanges.length === 0 && <Suggestions onPick={thenType(ask)} />}
          {exchanges.map((exchange) => (
            <ExchangeView
              key={exchange.key}
              exchange={exchange}
              fetchStream={log.fetch}
              onChange={exchange === last ? setAnswer : undefined}
              onAgain={thenType(again)}
              onGoOn={thenType(goOn)}
            />
          ))}
        </div>
        {problem !== undefined && (
          <p className="problem" role="alert">
            {problem}
          </p>
        )}
        <form className="row" onSubmit={(event) => void onSubmit(event)}>
          <label htmlFor={id} className="unseen">
            Your question
          </label>
          <input
            id={id}
            ref={field}
            value={question}
            onChange={(event) => setQuestion(event.target.value)}
            placeholder="Ask about everstream"
            maxLength={4000}
            autoComplete="off"
            enterKeyHint="send"
            required
          />
          {(!streaming || question.trim() !== "") && <button type="submit">Ask</button>}
          {streaming && (
            <button type="button" className="plain" onClick={thenType(() => stop(current.stop))}>
              Stop
            </button>
          )}
          <button type="button" className="plain" onClick={thenType(renew)} disabled={exchanges.length === 0}>
            New conversation
          </button>
        </form>
      </div>
    </Panel>
  );
}

function Suggestions({ onPick }: { onPick: (question: string) => void }) {
  return (
    <div className="suggestions">
      <p>Try one of these:</p>
      {SUGGESTIONS.map((question) => (
        <button type="button" className="plain" key={question} onClick={() => onPick(question)}>
          {question}
        </button>
      ))}
    </div>
  );
}
