import { setTimeout as delay } from "node:timers/promises";
import type { CallbackManagerForLLMRun } from "@langchain/core/callbacks/manager";
import { SimpleChatModel } from "@langchain/core/language_models/chat_models";
import { AIMessageChunk, type BaseMessage } from "@langchain/core/messages";
import { ChatGenerationChunk } from "@langchain/core/outputs";
import { composeAnswer } from "./answer.ts";
import { GO_ON } from "./model.ts";
import { type Passage, readPassages } from "./passages.ts";
import { createIndex, type SearchIndex } from "./search.ts";

export interface DocsAssistantOptions {
  /** Where the passages come from. Default: the project's own documents. */
  readonly passages?: () => Promise<readonly Passage[]>;
  /** The time between two tokens, in milliseconds. Default 20, which reads comfortably. */
  readonly tokenMs?: number;
}

/** LangChain hands it to every model's stream. */
type CallOptions = { signal?: AbortSignal };

/**
 * What answers where no provider is configured: a chat model, for LangChain, that generates nothing. It finds the
 * passages of this project's documents that answer a question and quotes them, token by token, and says so.
 */
export class DocsAssistant extends SimpleChatModel {
  readonly #readPassages: () => Promise<readonly Passage[]>;
  readonly #tokenMs: number;
  #index: Promise<SearchIndex> | undefined;

  constructor({ passages = readPassages, tokenMs = 20 }: DocsAssistantOptions = {}) {
    super({});
    this.#readPassages = passages;
    this.#tokenMs = tokenMs;
  }

  override _llmType(): string {
    return "everstream-docs-assistant";
  }

  override async _call(messages: BaseMessage[]): Promise<string> {
    const asked = messages.filter((message) => message.type === "human").map((message) => message.text);
    const goesOn = asked.at(-1) === GO_ON;
    const answer = composeAnswer(asked.at(goesOn ? -2 : -1) ?? "", await this.#open());
    const soFar = goesOn ? (messages.findLast((message) => message.type === "ai")?.text ?? "") : "";
    return answer.startsWith(soFar) ? answer.slice(soFar.length) : answer;
  }

  override async *_streamResponseChunks(
    messages: BaseMessage[],
    { signal }: CallOptions,
    run?: CallbackManagerForLLMRun,
  ): AsyncGenerator<ChatGenerationChunk> {
    const answer = await this._call(messages);
    for (const token of tokensOf(answer)) {
      await delay(this.#tokenMs, undefined, signal === undefined ? {} : { signal });
      yield new ChatGenerationChunk({ text: token, message: new AIMessageChunk({ content: token }) });
      await run?.handleLLMNewToken(token);
    }
  }

  /** Reads the documents once, at the first question; a failure is not kept. */
  #open(): Promise<SearchIndex> {
    this.#index ??= this.#readPassages()
      .then(createIndex)
      .catch((error: unknown) => {
        this.#index = undefined;
        throw error;
      });
    return this.#index;
  }
}

/** Words with the space before them, much as language models cut text. */
function tokensOf(text: string): string[] {
  return text.match(/\s*\S+|\s+$/g) ?? [];
}
