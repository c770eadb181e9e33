import type { ErrorData } from "../protocol/index.ts";
import { DONE_EVENT, ERROR_EVENT, PROGRESS_EVENT, TOKEN_EVENT } from "../protocol/index.ts";
import { type Fields, fieldsOf } from "./chunks.ts";

/** One part of the AI SDK's UI message stream, as JSON. */
export type UIMessagePart = { readonly type: string } & Fields;

/** What its clients know of the reasons; they refuse others. */
const FINISH: Readonly<Record<string, string>> = {
  stop: "stop",
  length: "length",
  "tool-calls": "tool-calls",
  "content-filter": "content-filter",
  refusal: "content-filter",
};

/**
 * Makes a UI message out of a run's events. The same events make the same message, however a join has put their text
 * together, so that every reader of a run has the same one.
 */
export class UIMessageParts {
  readonly #messageId: string;
  #begun = false;
  /** The text or reasoning that is being written, and how many there were. */
  #open: { readonly type: "text" | "reasoning"; readonly id: string } | undefined;
  #count = 0;
  /** Tools have answered; what the model writes then is another step, as the AI SDK counts them. */
  #answered = false;
  #ended = false;

  constructor(messageId: string) {
    this.#messageId = messageId;
  }

  /** The run's last event was here. */
  get ended(): boolean {
    return this.#ended;
  }

  /** What an event adds to the message. */
  of(type: string, data: unknown): UIMessagePart[] {
    if (this.#ended) return [];
    const parts = this.#partsOf(type, fieldsOf(data), data);
    if (this.#begun) return parts;
    this.#begun = true;
    return [{ type: "start", messageId: this.#messageId }, { type: "start-step" }, ...parts];
  }

  #partsOf(type: string, fields: Fields, data: unknown): UIMessagePart[] {
    switch (type) {
      case TOKEN_EVENT:
        return this.#write("text", fields.content);
      case "reasoning":
        return this.#write("reasoning", fields.content);
      case "tool":
        return this.#tool(fields);
      case "usage":
        return [{ type: "message-metadata", messageMetadata: { usage: fields } }];
      case "run":
        return [];
      case PROGRESS_EVENT:
        // One part that changes, not one for each event.
        return [{ type: "data-progress", id: "progress", data }];
      case DONE_EVENT:
        return this.#finish(fields);
      case ERROR_EVENT:
        return this.#fail(data as ErrorData);
      default:
        return [{ type: type.startsWith("data-") ? type : `data-${type}`, data: data ?? null }];
    }
  }

  #write(type: "text" | "reasoning", content: unknown): UIMessagePart[] {
    if (typeof content !== "string" || content === "") return [];
    const parts = [...this.#nextStep()];
    if (this.#open?.type !== type) {
      parts.push(...this.#close());
      this.#open = { type, id: `${type}-${++this.#count}` };
      parts.push({ type: `${type}-start`, id: this.#open.id });
    }
    parts.push({ type: `${type}-delta`, id: this.#open.id, delta: content });
    return parts;
  }

  #tool(event: Fields): UIMessagePart[] {
    const { id: toolCallId, name: toolName, state } = event;
    const flags = pick(event, "providerExecuted", "dynamic");
    switch (state) {
      case "started": {
        const before = [...this.#close(), ...this.#nextStep()];
        return [...before, { type: "tool-input-start", toolCallId, toolName, ...flags }];
      }
      case "arguments":
        return [{ type: "tool-input-delta", toolCallId, inputTextDelta: event.delta }];
      case "called": {
        const call = { toolCallId, toolName, input: event.input, ...flags };
        return event.invalid === true
          ? [{ type: "tool-input-error", ...call, errorText: "The model's arguments are no JSON." }]
          : [{ type: "tool-input-available", ...call }];
      }
      case "result":
        this.#answered = true;
        return event.isError === true
          ? [{ type: "tool-output-error", toolCallId, errorText: errorTextOf(event.output) }]
          : [{ type: "tool-output-available", toolCallId, output: event.output ?? null }];
      default:
        return [];
    }
  }

  #nextStep(): UIMessagePart[] {
    if (!this.#answered) return [];
    this.#answered = false;
    return [...this.#close(), { type: "finish-step" }, { type: "start-step" }];
  }

  #finish({ finishReason, ...metadata }: Fields): UIMessagePart[] {
    this.#ended = true;
    const known = typeof finishReason === "string" ? (FINISH[finishReason] ?? "other") : undefined;
    const finish = {
      ...(known !== undefined && { finishReason: known }),
      ...(Object.keys(metadata).length > 0 && { messageMetadata: metadata }),
    };
    return [...this.#close(), { type: "finish-step" }, { type: "finish", ...finish }];
  }

  /** Who has asked for a stop is not told of a failure. */
  #fail({ code, message }: ErrorData): UIMessagePart[] {
    this.#ended = true;
    const last =
      code === "stopped" ? { type: "abort", reason: message } : { type: "error", errorText: message };
    return [...this.#close(), last];
  }

  #close(): UIMessagePart[] {
    if (this.#open === undefined) return [];
    const { type, id } = this.#open;
    this.#open = undefined;
    return [{ type: `${type}-end`, id }];
  }
}

function pick(fields: Fields, ...names: readonly string[]): Fields {
  return Object.fromEntries(names.filter((name) => name in fields).map((name) => [name, fields[name]]));
}

function errorTextOf(output: unknown): string {
  return typeof output === "string" && output !== "" ? output : "The tool failed.";
}
