import { EverstreamError } from "../errors.ts";
import { assertObject, assertRequest } from "../input.ts";
import {
  createParser,
  EVENT_STREAM_TYPE,
  type EventParser,
  encodeEvent,
  GAP_EVENT,
  type ParsedEvent,
  RESERVED_PREFIX,
} from "../protocol/index.ts";
import { assertRuns, type JoinOptions, type Runs } from "../runs/index.ts";
import { type UIMessagePart, UIMessageParts } from "./ui-message-parts.ts";

/** Options of {@link runUIMessages}. */
export interface RunUIMessagesOptions extends JoinOptions {
  /** The message's id. Default: the run's, so that every reader has the same one. */
  messageId?: string;
}

/**
 * Answers with a run as the AI SDK's UI message stream, for its `useChat`: the whole message from its start, and then what
 * comes. The answer to the request that starts a run and the one to a resuming client are the same call:
 *
 * ```ts
 * app.post("/api/chat", async (c) => {
 *   const { id, messages } = await c.req.json();
 *   const run = await runs.start({ key: id, produce: (run) => pipeAnswer(ask(messages, run.signal), run) });
 *   return runUIMessages(runs, run.id, c.req.raw);
 * });
 * app.get("/api/chat/:id/stream", (c) => runUIMessages(runs, { key: c.req.param("id") }, c.req.raw));
 * ```
 *
 * With a `key`, the run that has it now is meant, and the answer is 204 where none is running: nothing to resume.
 *
 * A connection that is lost before the run's end is broken off, so that the client does not take half a message for a
 * whole one. `useChat`'s own `stop()` only leaves; to end the run, call `runs.stop`.
 *
 * @throws EverstreamError as `runs.respond`.
 */
export async function runUIMessages(
  runs: Pick<Runs, "respond" | "holder">,
  run: string | { readonly key: string },
  request: Request,
  options: RunUIMessagesOptions = {},
): Promise<Response> {
  assertRuns(runs);
  assertRequest(request);
  assertObject("options", options);
  const { messageId, ...join } = options;
  const id = typeof run === "string" ? run : await runs.holder(Object(run).key);
  if (id === undefined) return new Response(null, { status: 204 });
  const { origin, pathname } = new URL(request.url);
  // A GET, from the start: the client has no cursor, since its hook knows of none.
  const whole = new Request(origin + pathname, { signal: request.signal });
  const response = await runs.respond(whole, id, join);
  return uiMessageStream(response, messageId ?? id);
}

/** A run's stream as a UI message stream; any other answer as it is. */
function uiMessageStream(response: Response, messageId: string): Response {
  const { body, headers } = response;
  if (body === null || !headers.get("content-type")?.startsWith(EVENT_STREAM_TYPE)) return response;
  const converted = new Headers(headers);
  converted.set("x-vercel-ai-ui-message-stream", "v1");
  return new Response(new Conversion(body, messageId).stream, { headers: converted });
}

const encoder = /* @__PURE__ */ new TextEncoder();

/** Reads a run's stream at the pace at which its own is read. */
class Conversion {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #parts: UIMessageParts;
  readonly #parser: EventParser;
  #text = "";

  constructor(body: ReadableStream<Uint8Array>, messageId: string) {
    this.#reader = body.getReader();
    this.#parts = new UIMessageParts(messageId);
    this.#parser = createParser({
      onEvent: (event) => this.#onEvent(event),
      // Signs of life, for proxies that cut what is silent.
      onComment: () => {
        this.#text += encodeEvent({ comment: "" });
      },
      maxEventBytes: Number.POSITIVE_INFINITY,
    });
    this.stream = new ReadableStream<Uint8Array>(
      {
        pull: (controller) => this.#pull(controller),
        cancel: (reason) => this.#reader.cancel(reason),
      },
      { highWaterMark: 0 },
    );
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    while (this.#text === "") {
      const { done, value } = await this.#reader.read();
      if (done) {
        // The error breaks the connection off.
        throw new EverstreamError("STREAM_ENDED", "The run's stream ended before the run did.");
      }
      await this.#push(value);
    }
    controller.enqueue(encoder.encode(this.#text));
    this.#text = "";
    if (!this.#parts.ended) return;
    controller.close();
    // The stream's own end is all that is left.
    await this.#reader.cancel();
  }

  async #push(bytes: Uint8Array): Promise<void> {
    try {
      this.#parser.push(bytes);
    } catch (error) {
      // Nobody else ends the run's stream: one that has failed is not cancelled any more.
      await this.#reader.cancel(error).catch(() => undefined);
      throw error;
    }
  }

  #onEvent({ event, data }: ParsedEvent): void {
    if (event === GAP_EVENT) {
      throw new EverstreamError("NOT_RESUMABLE", "The run's beginning is no longer kept.");
    }
    if (event.startsWith(RESERVED_PREFIX)) return;
    for (const part of this.#parts.of(event, data === "" ? undefined : JSON.parse(data))) this.#put(part);
    if (this.#parts.ended) this.#text += encodeEvent({ data: "[DONE]" });
  }

  #put(part: UIMessagePart): void {
    this.#text += encodeEvent({ data: JSON.stringify(part) });
  }
}
