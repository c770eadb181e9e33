import { EverstreamError } from "../errors.ts";
import type { ErrorData } from "../protocol/index.ts";
import { messageOf } from "./failure.ts";

/** The text of a token event, or the error that says why there is none. */
export function readToken(data: string): string | Error {
  let token: unknown;
  try {
    token = JSON.parse(data);
  } catch (cause) {
    const message = `A token event holds no JSON (${messageOf(cause)}): ${excerpt(data)}`;
    return new EverstreamError("INVALID_DATA", message, { cause });
  }
  const text = textOf(hasContent(token) ? token.content : token);
  if (text !== undefined) return text;
  return new EverstreamError(
    "INVALID_DATA",
    `A token event holds no \`content\` that is text: ${excerpt(data)}`,
  );
}

function hasContent(token: unknown): token is { content: unknown } {
  return typeof token === "object" && token !== null && "content" in token;
}

/** A string as it is, or the text among LangChain's content blocks, which hold tool calls and images besides. */
function textOf(content: unknown): string | undefined {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return undefined;
  let text = "";
  for (const block of content as readonly unknown[]) {
    if (typeof block === "string") text += block;
    else if (isTextBlock(block)) text += block.text;
  }
  return text;
}

function isTextBlock(block: unknown): block is { text: string } {
  if (typeof block !== "object" || block === null) return false;
  return "type" in block && block.type === "text" && "text" in block && typeof block.text === "string";
}

/** The error that an `error` event of a server stands for; its data is the `cause`. */
export function readServerError(data: string): EverstreamError {
  let cause: unknown = data;
  let message = data === "" ? "The server reported an error." : data;
  try {
    cause = JSON.parse(data);
    const { message: told } = Object(cause) as Partial<ErrorData>;
    if (typeof told === "string") message = told;
  } catch {
    // Plain text is as good an explanation as any.
  }
  return new EverstreamError("SERVER_ERROR", message, { cause });
}

function excerpt(data: string): string {
  return JSON.stringify(data.length > 100 ? `${data.slice(0, 100)}…` : data);
}
