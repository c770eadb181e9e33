/** The `everstream/llm` subpath: what language models stream, in one form, as events of ours or for the AI SDK's hooks. */
export type { AnswerChunk, FinishReason, Usage } from "./chunks.ts";
export { type AnswerStream, chunksOf, type MessageChunk, type ProviderChunk } from "./chunks-of.ts";
export { type Answer, type PipeAnswerOptions, pipeAnswer } from "./pipe-answer.ts";
export { type ProviderFailure, type ProviderFailureCode, providerFailure } from "./provider-failure.ts";
export { type TextChunk, type TextStream, textOf } from "./text-of.ts";
export { type RunUIMessagesOptions, runUIMessages } from "./ui-messages.ts";
