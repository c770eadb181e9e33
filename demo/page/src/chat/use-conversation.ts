import { useCallback, useState } from "react";
import { postJson } from "../api/json.ts";
import { type TopicEvent, useTopic } from "../api/use-topic.ts";
import type { WireLog } from "../ui/wire-log.ts";

/** One question and the run that answers it. */
export interface Exchange {
  /** Stays the same when another run takes the place of the one before. */
  readonly key: string;
  readonly run: string;
  readonly question: string;
  /** Whether the answer is known to be over. */
  readonly answered: boolean;
}

export interface Conversation {
  readonly exchanges: readonly Exchange[];
  /** Why the last question could not be asked. */
  readonly problem: string | undefined;
  ask(question: string): void;
  /** Has a question answered once more, in place of the first answer. */
  again(exchange: Exchange): void;
  /** Has an answer that was cut off gone on with. */
  goOn(exchange: Exchange): void;
  /** Leaves the conversation for a new one. */
  renew(): void;
}

const KEY = "conversation";
const NOTHING: readonly Exchange[] = [];

/** The browser's conversation: all its tabs and pages follow the same one, live. */
export function useConversation(log: WireLog): Conversation {
  const [id, setId] = useState(() => localStorage.getItem(KEY) ?? storeNewId());
  const [problem, setProblem] = useState<string>();
  const { data: exchanges } = useTopic(`/api/chat/${id}`, { initial: NOTHING, reduce: receive, log });

  const post = useCallback(
    async (message: string, more: object = {}): Promise<void> => {
      try {
        await postJson(`/api/runs/${randomId()}`, { conversation: id, message, ...more });
        setProblem(undefined);
      } catch (error) {
        setProblem((error as Error).message);
      }
    },
    [id],
  );

  return {
    exchanges,
    problem,
    ask: (question) => void post(question),
    again: ({ run, question }) => void post(question, { replaces: run }),
    goOn: ({ run, question }) => void post(question, { replaces: run, goOn: true }),
    renew: () => {
      setProblem(undefined);
      setId(storeNewId());
    },
  };
}

/** What an event makes of the conversation. */
function receive(exchanges: readonly Exchange[], { type, data }: TopicEvent): readonly Exchange[] {
  const { run, question, replaces } = data as { run: string; question: string; replaces?: string };
  if (type === "answered") {
    return exchanges.map((one) => (one.run === run ? { ...one, answered: true } : one));
  }
  if (type !== "asked") return exchanges;
  const at = exchanges.findIndex((one) => one.run === replaces);
  const replaced = exchanges[at];
  if (replaced === undefined) return [...exchanges, { key: run, run, question, answered: false }];
  return exchanges.with(at, { key: replaced.key, run, question, answered: false });
}

function storeNewId(): string {
  const id = randomId();
  localStorage.setItem(KEY, id);
  return id;
}

/** As `crypto.randomUUID`, which pages have only over HTTPS. */
function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
