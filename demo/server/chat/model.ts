import { ChatOpenAI } from "@langchain/openai";
import type { TextStream } from "everstream/llm";
import { DocsAssistant } from "./docs-assistant.ts";

/** Who said what, as LangChain takes it. */
export type Message = ["human" | "ai", string];

/** What a model is told after an answer of its own that was cut off. */
export const GO_ON = "Go on exactly where you stopped.";

/** The part of LangChain's chat models that the chat uses. */
export interface ChatModel {
  stream(message: string | Message[], options: { signal: AbortSignal }): Promise<TextStream>;
}

export interface OpenAISettings {
  readonly apiKey: string;
  readonly model?: string | undefined;
  readonly baseURL?: string | undefined;
  /** How often a request that the provider turned away is sent again. Default 2: somebody is waiting. */
  readonly maxRetries?: number;
}

/** `OPENAI_API_KEY` chooses OpenAI, or what speaks its protocol at `OPENAI_BASE_URL`; without it the docs assistant answers. */
export function modelFromEnvironment(env: NodeJS.ProcessEnv): ChatModel {
  const apiKey = env.OPENAI_API_KEY;
  if (!apiKey) return new DocsAssistant();
  return openAIModel({ apiKey, model: env.OPENAI_MODEL, baseURL: env.OPENAI_BASE_URL });
}

export function openAIModel({ apiKey, model, baseURL, maxRetries = 2 }: OpenAISettings): ChatModel {
  return new ChatOpenAI({
    model: model || "gpt-4-turbo",
    apiKey,
    streaming: true,
    maxRetries,
    ...(baseURL ? { configuration: { baseURL } } : {}),
  });
}
