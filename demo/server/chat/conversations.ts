import type { Hub, HubEvent } from "everstream";
import { KEEP_FOR_MS } from "../runs.ts";

/** A question, as everybody who follows the conversation is told of it. */
export interface Asked {
  /** The run that answers it. */
  readonly run: string;
  readonly question: string;
  /** The run in whose place this one is: it answers the same question once more, or goes on with its answer. */
  readonly replaces?: string | undefined;
}

/** What came of it, kept beside the question for the questions that follow. */
export interface Answered {
  readonly run: string;
  readonly text: string;
}

/** One turn of a conversation, as a model is told of it. */
export interface Turn {
  readonly run: string;
  readonly question: string;
  /** Empty where there is none, or none yet. */
  readonly answer: string;
}

/** Conversations in the hub's log: a topic each, which pages follow and models are reminded of. */
export interface Conversations {
  topicOf(id: string): string;
  ask(id: string, asked: Asked): Promise<void>;
  answer(id: string, answered: Answered): Promise<void>;
  /** The turns in their order, without those that others have replaced. */
  turns(id: string): Promise<readonly Turn[]>;
}

const ID = /^[\w-]{8,64}$/;
/** How many events of a conversation are kept. */
export const MAX_EVENTS = 400;
const RETENTION = { maxEvents: MAX_EVENTS, maxBytes: 4 * 1024 * 1024, maxAge: KEEP_FOR_MS };

/** Whether a text can be a conversation's id. Pages make them up; who has the id may read and write. */
export function isConversationId(id: unknown): id is string {
  return typeof id === "string" && ID.test(id);
}

export function createConversations(hub: Hub): Conversations {
  const topicOf = (id: string): string => `conversation:${id}`;
  return {
    topicOf,
    // Named after the run, so that a start which is repeated asks once.
    ask: async (id, asked) => {
      const options = { publishId: `asked:${asked.run}`, retention: RETENTION };
      await hub.publish(topicOf(id), { type: "asked", data: asked }, options);
    },
    // A server that leaves its answers to others says how far it came; the one that goes on says more.
    answer: async (id, answered) => {
      const publishId = `answered:${answered.run}:${answered.text.length}`;
      const options = { publishId, retention: RETENTION };
      await hub.publish(topicOf(id), { type: "answered", data: answered }, options);
    },
    turns: async (id) => {
      const { events } = await hub.read(topicOf(id), { last: MAX_EVENTS });
      return turnsOf(events);
    },
  };
}

function turnsOf(events: readonly HubEvent[]): Turn[] {
  const turns: Turn[] = [];
  for (const { type, data } of events) {
    if (type === "asked") {
      const { run, question, replaces } = data as Asked;
      const turn = { run, question, answer: "" };
      const at = turns.findIndex((one) => one.run === replaces);
      if (at < 0) turns.push(turn);
      else turns[at] = turn;
    } else if (type === "answered") {
      const { run, text } = data as Answered;
      const at = turns.findIndex((one) => one.run === run);
      const turn = turns[at];
      if (turn !== undefined) turns[at] = { ...turn, answer: text };
    }
  }
  return turns;
}
