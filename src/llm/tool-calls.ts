import type { AnswerChunk } from "./chunks.ts";

interface OpenCall {
  readonly id: string;
  readonly name: string;
  readonly flags: { readonly providerExecuted?: true; readonly dynamic?: true };
  arguments: string;
}

/** Puts tool calls together that providers stream in pieces, each call under a key of the provider's. */
export class ToolCalls {
  readonly #open = new Map<unknown, OpenCall>();
  #ownCount = 0;

  /** How many calls have begun that the provider does not run itself. */
  get ownCount(): number {
    return this.#ownCount;
  }

  /** A call begins. */
  start(key: unknown, id: string, name: string, flags: OpenCall["flags"] = {}): AnswerChunk[] {
    this.#open.set(key, { id, name, flags, arguments: "" });
    if (flags.providerExecuted !== true) this.#ownCount++;
    return [{ type: "tool-start", id, name, ...flags }];
  }

  /** Whether a piece is of a call that is not open. Some servers give all calls the same index: their ids tell them apart. */
  begins(key: unknown, id: unknown): boolean {
    const call = this.#open.get(key);
    return call === undefined || (typeof id === "string" && id !== "" && id !== call.id);
  }

  /** A piece of its arguments. */
  add(key: unknown, delta: unknown): AnswerChunk[] {
    const call = this.#open.get(key);
    if (call === undefined || typeof delta !== "string" || delta === "") return [];
    call.arguments += delta;
    return [{ type: "tool-arguments", id: call.id, delta }];
  }

  /** The call is complete; its arguments, where nobody streamed them in pieces, are given here. */
  finish(key: unknown, whole?: string): AnswerChunk[] {
    const call = this.#open.get(key);
    if (call === undefined) return [];
    this.#open.delete(key);
    const { id, name, flags } = call;
    return [{ type: "tool-call", id, name, ...flags, ...inputOf(call.arguments || (whole ?? "")) }];
  }

  /** All that are open are complete. */
  finishAll(): AnswerChunk[] {
    return [...this.#open.keys()].flatMap((key) => this.finish(key));
  }
}

/** Providers send no text at all for a tool without arguments. */
function inputOf(json: string): { input: unknown; invalid?: true } {
  if (json.trim() === "") return { input: {} };
  try {
    return { input: JSON.parse(json) };
  } catch {
    return { input: json, invalid: true };
  }
}
