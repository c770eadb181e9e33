// A provider that a test plays, for the built application: an answer is "in the middle" until the test lets it go on.
import { GO_ON } from "../../demo/server/chat/model.ts";
import { type Exchange, startCompletions } from "../llm/completions-server.ts";

/** How every answer begins. */
export const BEGINNING = "Once upon a time";
/** A whole answer. No two parts of it are the same. */
export const WHOLE = `${BEGINNING}${Array.from({ length: 200 }, (_, number) => ` w${number}`).join("")}`;

export interface PlayedModel {
  /** Has an application ask this provider. */
  readonly env: Readonly<Record<string, string>>;
  /** How far answers come from now on, those too that have begun: a part of the whole, from 0 to 1. At first 0.25. */
  reach(part: number): void;
  close(): Promise<void>;
}

/** Starts it, on a port of its own. */
export async function playModel(): Promise<PlayedModel> {
  let limit = WHOLE.length / 4;
  let waiting: (() => void)[] = [];
  const answer = async (exchange: Exchange): Promise<void> => {
    let isGone = false;
    const gone = exchange.closed.then(() => {
      isGone = true;
    });
    let { length } = soFarOf(exchange);
    for (const piece of WHOLE.slice(length).match(/\s*\S+/g) ?? []) {
      while (length >= limit && !isGone) {
        await Promise.race([gone, new Promise<void>((resolve) => waiting.push(resolve))]);
      }
      if (isGone) return;
      await exchange.text(piece);
      length += piece.length;
    }
    await exchange.finish();
  };
  const server = await startCompletions(answer);
  return {
    env: { OPENAI_API_KEY: "test", OPENAI_BASE_URL: server.baseURL },
    reach: (part) => {
      limit = part * WHOLE.length;
      for (const resume of waiting) resume();
      waiting = [];
    },
    close: server.close,
  };
}

/** What there is already of an answer that is to be gone on with. */
function soFarOf({ body: { messages } }: Exchange): string {
  const [before, last] = messages.slice(-2);
  return last?.content === GO_ON ? (before?.content ?? "") : "";
}
