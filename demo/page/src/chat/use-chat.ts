import { createEventStream, type TokenStream } from "everstream/client";
import { useCallback, useEffect, useRef, useState } from "react";

/** One question and what came of it. */
export interface Exchange {
  readonly key: number;
  readonly question: string;
  readonly answer: string;
  readonly tokens: number;
  readonly state: "streaming" | "done" | "stopped" | "failed";
  readonly error?: string;
}

export interface Chat {
  readonly exchanges: readonly Exchange[];
  readonly streaming: boolean;
  ask(question: string): void;
  stop(): void;
}

/** Asks the chat route one question after another. Leaving the page stops the answer that is on its way. */
export function useChat(fetchStream: typeof fetch): Chat {
  const [exchanges, setExchanges] = useState<readonly Exchange[]>([]);
  const stream = useRef<TokenStream>(undefined);
  const keys = useRef(0);
  useEffect(() => () => stream.current?.close(), []);

  const update = useCallback((key: number, change: (exchange: Exchange) => Partial<Exchange>) => {
    setExchanges((all) => all.map((one) => (one.key === key ? { ...one, ...change(one) } : one)));
  }, []);

  const ask = useCallback(
    (question: string) => {
      stream.current?.close();
      const key = keys.current++;
      const fresh: Exchange = { key, question, answer: "", tokens: 0, state: "streaming" };
      setExchanges((all) => [...all.map(stopped), fresh]);
      const opened = createEventStream(`/api/chat/stream?message=${encodeURIComponent(question)}`, {
        fetch: fetchStream,
      });
      stream.current = opened;
      opened.onToken((content) => {
        update(key, ({ answer, tokens }) => ({ answer: answer + content, tokens: tokens + 1 }));
      });
      opened.onDone((answer) => update(key, () => ({ answer, state: "done" })));
      opened.onError(({ message }) => update(key, () => ({ state: "failed", error: message })));
    },
    [fetchStream, update],
  );

  const stop = useCallback(() => {
    stream.current?.close();
    setExchanges((all) => all.map(stopped));
  }, []);

  return { exchanges, streaming: exchanges.at(-1)?.state === "streaming", ask, stop };
}

function stopped(exchange: Exchange): Exchange {
  return exchange.state === "streaming" ? { ...exchange, state: "stopped" } : exchange;
}
