import { type FormEvent, useId, useState } from "react";
import { Panel } from "../ui/panel.tsx";
import { useFollow } from "../ui/use-follow.ts";
import { Wire } from "../ui/wire.tsx";
import { createWireLog } from "../ui/wire-log.ts";
import { Markdown } from "./markdown.tsx";
import { type Exchange, useChat } from "./use-chat.ts";

const SUGGESTIONS = [
  "How does a client resume after a lost connection?",
  "What is the heartbeat for?",
  "How do I use it in React?",
];

export function ChatPanel() {
  const [log] = useState(createWireLog);
  const { exchanges, streaming, ask, stop } = useChat(log.fetch);
  const [question, setQuestion] = useState("");
  const field = useId();
  const { scroller, onScroll } = useFollow<HTMLDivElement>(exchanges);

  const onSubmit = (event: FormEvent): void => {
    event.preventDefault();
    if (question.trim() === "") return;
    ask(question.trim());
    setQuestion("");
  };

  return (
    <Panel
      title="Chat"
      lead="Tokens arrive one by one; leaving or stopping ends the work behind them."
      routes={["GET /api/chat/stream"]}
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
          {exchanges.length === 0 && <Suggestions onPick={ask} />}
          {exchanges.map((exchange) => (
            <ExchangeView key={exchange.key} exchange={exchange} />
          ))}
        </div>
        <form className="row" onSubmit={onSubmit}>
          <label htmlFor={field} className="unseen">
            Your question
          </label>
          <input
            id={field}
            value={question}
            onChange={(event) => setQuestion(event.target.value)}
            placeholder="Ask about everstream"
            maxLength={4000}
            autoComplete="off"
            enterKeyHint="send"
            required
          />
          {streaming && question.trim() === "" ? (
            <button key="stop" type="button" className="plain" onClick={stop}>
              Stop
            </button>
          ) : (
            <button key="ask" type="submit">
              Ask
            </button>
          )}
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

function ExchangeView({ exchange: { question, answer, tokens, state, error } }: { exchange: Exchange }) {
  return (
    <article className="exchange">
      <p className="question">{question}</p>
      <div className="answer" data-state={state}>
        <Markdown text={answer} />
        {answer === "" && state === "streaming" && <p />}
      </div>
      {state === "failed" && (
        <p className="problem" role="alert">
          {error}
        </p>
      )}
      <p className="note">
        {tokens} {tokens === 1 ? "token" : "tokens"}
        {state === "stopped" && ", stopped"}
      </p>
    </article>
  );
}
