import type { Run, RunRoutesOptions, RunsOptions, StartOptions } from "everstream";
import { runRoutes } from "everstream/hono";
import { textOf } from "everstream/llm";
import type { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { type DemoEnv, problem, readObject } from "../http.ts";
import type { Work } from "../runs.ts";
import { answerTopic } from "../topic.ts";
import { type Conversations, isConversationId, MAX_EVENTS } from "./conversations.ts";
import { type ChatModel, GO_ON, type Message } from "./model.ts";
import { MAX_MESSAGE } from "./routes.ts";

interface Options {
  readonly work: Work;
  readonly conversations: Conversations;
  readonly model: ChatModel;
}

/** What a page sends to have a question answered. */
interface Wanted {
  readonly conversation: string;
  readonly message: string;
  /** The run whose place the answer takes. */
  readonly replaces: string | undefined;
  /** What was answered before the server was gone: the answer goes on after it. */
  readonly goOn: boolean;
}

/** How much of a conversation a model is reminded of, in turns. */
const REMEMBERED_TURNS = 20;

/**
 * `GET /chat/:conversation`: the questions of a conversation as events, from its start. `/runs/:id`: `POST` asks a question,
 * `GET` follows its answer, `DELETE` stops it. Ids are secrets: who knows one may read.
 */
export function addAnswers(api: Hono<DemoEnv>, { work, conversations, model }: Options): void {
  api.get("/chat/:conversation", (c) => {
    const id = c.req.param("conversation");
    if (!isConversationId(id)) throw problem(400, "a conversation's id has 8 to 64 letters, digits, - or _");
    return answerTopic(c, work.hub, conversations.topicOf(id), MAX_EVENTS);
  });

  const start = async (request: Request, id: string): Promise<Omit<StartOptions, "id">> => {
    const wanted = readWanted(await readObject(request));
    const turns = await conversations.turns(wanted.conversation);
    const replaced = turns.find(({ run }) => run === wanted.replaces);
    const { conversation, message: question } = wanted;
    // A start may come again that has come as far as its question.
    const at = turns.findIndex(({ run }) => run === id || run === replaced?.run);
    const before = at < 0 ? turns : turns.slice(0, at);
    // Only of what this conversation has asked: anything else is no run's name, or somebody else's.
    const soFar = wanted.goOn && replaced !== undefined ? await textSoFar(work, replaced.run) : "";
    await conversations.ask(conversation, { run: id, question, replaces: replaced?.run });
    const messages = messagesOf(before.slice(-REMEMBERED_TURNS), question, soFar);
    return {
      key: conversation,
      onBusy: "replace",
      input: { conversation },
      produce: async (run) => {
        await work.show("answer", id);
        await answer(run, { conversations, conversation, model, messages, soFar, isTold: false });
      },
    };
  };
  const routes: RunRoutesOptions = {
    path: "/api/runs",
    start: (request, id) => start(request, id).catch(refusal),
    authorize: () => true,
  };
  api.on(["GET", "POST", "DELETE"], "/runs/:id/:what?", runRoutes(work.runs, routes));
}

/** The answer to a start that can't be. */
function refusal(error: unknown): Response {
  if (!(error instanceof HTTPException)) throw error;
  return Response.json({ error: error.message, code: "BAD_REQUEST" }, { status: error.status });
}

/**
 * How an answer goes on that has lost its server: on another one, after the words that are there. Work on a file does not: it
 * is for who sent it to send it again.
 */
export function goesOnElsewhere({
  conversations,
  model,
}: Pick<Options, "conversations" | "model">): NonNullable<RunsOptions["onAbandoned"]> {
  return async ({ id, input }, soFar) => {
    const { conversation } = Object(input) as { conversation?: string };
    if (conversation === undefined) return undefined;
    const turns = await conversations.turns(conversation);
    const turn = turns.find(({ run }) => run === id);
    if (turn === undefined) return undefined;
    const before = turns.slice(0, turns.indexOf(turn)).slice(-REMEMBERED_TURNS);
    const messages = messagesOf(before, turn.question, soFar);
    return (run) => answer(run, { conversations, conversation, model, messages, soFar, isTold: true });
  };
}

interface Answer extends Pick<Options, "conversations" | "model"> {
  readonly conversation: string;
  readonly messages: Message[];
  /** What the answer begins with, and whether the run has it already. */
  readonly soFar: string;
  readonly isTold: boolean;
}

async function answer(run: Run, options: Answer): Promise<void> {
  const { conversations, conversation, model, messages, soFar, isTold } = options;
  let text = soFar;
  try {
    if (soFar !== "" && !isTold) await run.text(soFar);
    const stream = await model.stream(messages, { signal: run.signal });
    for await (const piece of textOf(stream, run.signal)) {
      text += piece;
      await run.text(piece);
    }
  } finally {
    // Also what was stopped is part of the conversation.
    await conversations.answer(conversation, { run: run.id, text });
  }
}

function messagesOf(
  turns: readonly { question: string; answer: string }[],
  question: string,
  soFar: string,
): Message[] {
  const messages: Message[] = turns.flatMap((turn): Message[] => [
    ["human", turn.question],
    ...(turn.answer === "" ? [] : ([["ai", turn.answer]] as Message[])),
  ]);
  messages.push(["human", question]);
  if (soFar !== "") messages.push(["ai", soFar], ["human", GO_ON]);
  return messages;
}

/** What a run has written; the log is still there where its process is not. */
async function textSoFar({ hub }: Work, id: string): Promise<string> {
  let text = "";
  let after: string | undefined;
  for (;;) {
    const page = await hub.read(`run:${id}`, { ...(after !== undefined && { after }) });
    for (const { type, data } of page.events) {
      if (type === "token") text += (data as { content: string }).content;
    }
    if (page.complete) return text;
    after = page.position;
  }
}

function readWanted({ conversation, message, replaces, goOn }: Record<string, unknown>): Wanted {
  if (!isConversationId(conversation)) {
    throw problem(400, "conversation must be an id of 8 to 64 letters, digits, - or _");
  }
  const text = typeof message === "string" ? message.trim() : "";
  if (text === "") throw problem(400, "message required");
  if (text.length > MAX_MESSAGE) throw problem(400, `message is longer than ${MAX_MESSAGE} characters`);
  return {
    conversation,
    message: text,
    replaces: typeof replaces === "string" ? replaces : undefined,
    goOn: goOn === true,
  };
}
