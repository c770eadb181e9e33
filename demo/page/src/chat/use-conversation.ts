import { useCallback, useEffect, useRef, useState } from "react";
import { AwayError, postOnce } from "../api/json.ts";
import { randomId } from "../api/random-id.ts";
import { useProblem } from "../api/use-problem.ts";
import { type TopicEvent, useTopic } from "../api/use-topic.ts";
import type { WireLog } from "../ui/wire-log.ts";

/** One question and the run that answers it. */
export interface Exchange {
  /** Stays the same when another run takes the place of the one before. */
  readonly key: string;
  readonly run: string;
  readonly question: string;
}

export interface Conversation {
  readonly exchanges: readonly Exchange[];
  /** Why the last question could not be asked, or the last answer not be stopped. */
  readonly problem: string | undefined;
  /** Resolves to whether the server has the question. */
  ask(question: string): Promise<boolean>;
  /** Has a question answered once more, in place of the first answer. */
  again(exchange: Exchange): void;
  /** Has an answer that was cut off gone on with. */
  goOn(exchange: Exchange): void;
  /** Does what stops an answer. */
  stop(act: () => Promise<void>): void;
  /** Leaves the conversation for a new one, with all tabs. */
  renew(): void;
}

/** What is known of a conversation. */
interface Known {
  readonly exchanges: readonly Exchange[];
  /** All runs that were asked for, those too whose place another has taken. */
  readonly runs: ReadonlySet<string>;
}

/** A question, as the server tells of it. */
interface Asked {
  readonly run: string;
  readonly question: string;
  readonly replaces?: string | undefined;
}

const KEY = "conversation";
const NOTHING: Known = { exchanges: [], runs: new Set() };

/** The browser's conversation: all its tabs and pages follow the same one, live. */
export function useConversation(log: WireLog): Conversation {
  const [id, setId] = useStoredId();
  /** What the server has accepted, and may not have told of yet: its stream may only be on its way back. */
  const [accepted, setAccepted] = useState<Asked & { readonly conversation: string }>();
  const { data, status } = useTopic(`/api/chat/${id}`, { initial: NOTHING, reduce: receive, log });
  const [problem, setProblem] = useProblem(status);
  const isToCome = accepted?.conversation === id && !data.runs.has(accepted.run);
  const { exchanges } = isToCome ? receive(data, { type: "asked", data: accepted }) : data;

  /** What is on its way to the server: a button that is pressed once more meanwhile asks nothing more. */
  const asking = useRef(new Set<string>());

  const post = useCallback(
    async (question: string, replaces?: string, goOn = false): Promise<boolean> => {
      const run = randomId();
      const key = JSON.stringify([id, question, replaces]);
      if (asking.current.has(key)) return true;
      asking.current.add(key);
      try {
        const wanted = { conversation: id, message: question, replaces, goOn };
        await postOnce(`/api/runs/${run}`, wanted, setProblem);
        setProblem();
        setAccepted({ conversation: id, run, question, replaces });
        return true;
      } catch (error) {
        setProblem(error as Error);
        return false;
      } finally {
        asking.current.delete(key);
      }
    },
    [id, setProblem],
  );

  return {
    exchanges,
    problem,
    ask: (question) => post(question),
    again: ({ run, question }) => void post(question, run),
    goOn: ({ run, question }) => void post(question, run, true),
    stop: (act) =>
      void act().then(
        () => setProblem(),
        () => setProblem(new AwayError("It could not be stopped: the server can't be reached.")),
      ),
    renew: () => {
      setProblem();
      setId(storeNewId());
    },
  };
}

/** The conversation's id, and a way to have another one. Another tab may do that, too. */
function useStoredId(): [string, (id: string) => void] {
  const [id, setId] = useState(() => stored(localStorage.getItem(KEY)) ?? storeNewId());
  useEffect(() => {
    const take = (id: string | null): void => setId((known) => stored(id) ?? known);
    const onStorage = ({ key, newValue }: StorageEvent): void => {
      if (key === KEY) take(newValue);
    };
    window.addEventListener("storage", onStorage);
    // Another tab may have stored one before this one listened.
    take(localStorage.getItem(KEY));
    return () => window.removeEventListener("storage", onStorage);
  }, []);
  return [id, setId];
}

/** What an event makes of the conversation. */
function receive(known: Known, { type, data }: TopicEvent): Known {
  if (type !== "asked") return known;
  const { exchanges } = known;
  const { run, question, replaces } = data as Asked;
  const runs = new Set(known.runs).add(run);
  const at = exchanges.findIndex((one) => one.run === replaces);
  const replaced = exchanges[at];
  const asked = { key: replaced?.key ?? run, run, question };
  return { runs, exchanges: replaced === undefined ? [...exchanges, asked] : exchanges.with(at, asked) };
}

/** An id that the server would take, whatever is stored. */
function stored(id: string | null): string | undefined {
  return id !== null && /^[\w-]{8,64}$/.test(id) ? id : undefined;
}

function storeNewId(): string {
  const id = randomId();
  localStorage.setItem(KEY, id);
  return id;
}
