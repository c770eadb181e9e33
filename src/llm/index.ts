/** The `everstream/llm` subpath: what language models stream, in the form that a handler sends on. */
export type { MessageChunk, TextChunk } from "./chunk-text.ts";
export { type TextStream, textOf } from "./text-of.ts";
