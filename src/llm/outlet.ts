import type { AnswerChunk } from "./chunks.ts";

/** Pieces of reasoning and of tools' arguments wait so long for more of them, as a run's text does. */
const WINDOW_MS = 50;
/** What has this length does not wait. */
const ENOUGH = 1024;

interface OutletOptions {
  readonly send: (type: string, data?: unknown) => Promise<void>;
  readonly text: (text: string) => Promise<void>;
  /** Whether pieces are to be joined before they are sent. */
  readonly joins: boolean;
}

/** Writes chunks as events. */
export class Outlet {
  readonly #options: OutletOptions;
  /** Pieces of one kind that wait: of reasoning, or of the arguments of a tool's call. */
  #pending: { readonly toolId: string | undefined; text: string } | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: OutletOptions) {
    this.#options = options;
  }

  async write(chunk: Exclude<AnswerChunk, { type: "usage" }>): Promise<void> {
    switch (chunk.type) {
      case "text":
        await this.#flush();
        return this.#options.text(chunk.text);
      case "reasoning":
        return this.#join(undefined, chunk.text);
      case "tool-arguments":
        return this.#join(chunk.id, chunk.delta);
      case "tool-start": {
        const { type: _, ...call } = chunk;
        return this.send("tool", { ...call, state: "started" });
      }
      case "tool-call": {
        const { type: _, ...call } = chunk;
        return this.send("tool", { ...call, state: "called" });
      }
      case "tool-result": {
        // What a tool threw may say more than clients should know.
        const { type: _, error: __, ...result } = chunk;
        return this.send("tool", { ...result, state: "result" });
      }
      case "finish":
        return;
    }
  }

  /** Sends an event after all that waits. */
  async send(type: string, data: unknown): Promise<void> {
    await this.#flush();
    await this.#options.send(type, data);
  }

  /** Sends what waits. Never rejects: who stands at the end hears of it by what it does next. */
  async close(): Promise<void> {
    await this.#flush().catch(() => undefined);
  }

  async #join(toolId: string | undefined, text: string): Promise<void> {
    if (this.#pending?.toolId !== toolId) await this.#flush();
    this.#pending ??= { toolId, text: "" };
    this.#pending.text += text;
    if (!this.#options.joins || this.#pending.text.length >= ENOUGH) return this.#flush();
    this.#timer ??= setTimeout(() => void this.close(), WINDOW_MS);
  }

  async #flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending === undefined) return;
    const { toolId, text } = pending;
    if (toolId === undefined) await this.#options.send("reasoning", { content: text });
    else await this.#options.send("tool", { id: toolId, state: "arguments", delta: text });
  }
}
