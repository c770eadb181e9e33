import { invalidOption } from "../errors.ts";
import { assertCallback, assertOptions, hasMethod, type NamesOf } from "../input.ts";
import type { ErrorData } from "../protocol/index.ts";
import { DONE_EVENT, ERROR_EVENT, TOKEN_EVENT } from "../protocol/index.ts";
import { explainToClients, type Run } from "../runs/index.ts";
import { type AnswerChunk, addUsage, type FinishReason, type Usage } from "./chunks.ts";
import { type AnswerStream, chunksOf } from "./chunks-of.ts";
import { Outlet } from "./outlet.ts";
import { providerFailure } from "./provider-failure.ts";

/** A run, as its producer has it. */
type RunTarget = Pick<Run, "text" | "send" | "meta" | "signal">;

/** One client's stream, as a handler of `streamSSE` has it. */
interface StreamTarget {
  readonly signal: AbortSignal;
  send(type: string, data?: unknown): Promise<void>;
}

/** Options of {@link pipeAnswer}. */
export interface PipeAnswerOptions {
  /** Told of every chunk before it is sent: of tools' errors, too, which clients do not see. */
  onChunk?: (chunk: AnswerChunk) => void;
  /** Another answer follows on this stream, so that no `done` is sent yet. A run ends with its producer anyway. */
  more?: boolean;
}

const NAMES: NamesOf<PipeAnswerOptions> = { onChunk: true, more: true };

/**
 * What {@link pipeAnswer} has sent, as a whole. No plain object, so that a producer that returns it does not add all of it
 * to what the run's `done` carries.
 */
class PipedAnswer {
  text = "";
  reasoning = "";
  readonly toolCalls: { readonly id: string; readonly name: string; readonly input: unknown }[] = [];
  finishReason: FinishReason | undefined = undefined;
  /** Of this answer alone. */
  usage: Usage | undefined = undefined;
}

/** What {@link pipeAnswer} has sent, as a whole. */
export type Answer = Readonly<PipedAnswer>;

/**
 * Sends a provider's stream to a run, or to one client's stream, as events: `token` and `reasoning` (`{ content }`), `tool`,
 * `usage`, and at the end `done` with `finishReason` and `usage`, which add up where several answers go to the same place.
 *
 * ```ts
 * produce: (run) => pipeAnswer(model.stream(question, { signal: run.signal }), run)
 * ```
 *
 * A promise may be given as it is, so that a provider that refuses is told of, too. When the run is stopped, or the client
 * gone, the provider's request is ended as {@link chunksOf} says. When the provider fails, clients get an `error` event with
 * the code of {@link providerFailure}, and this rejects with the provider's own error.
 *
 * @throws EverstreamError as {@link chunksOf}, `INVALID_OPTION` for the target and the options, `STREAM_ENDED` once the run or the stream has ended; the provider's error.
 */
export async function pipeAnswer(
  answer: AnswerStream | PromiseLike<AnswerStream>,
  target: RunTarget | StreamTarget,
  options: PipeAnswerOptions = {},
): Promise<Answer> {
  if (!hasMethod(target, "send") || !hasMethod(target.signal, "addEventListener")) {
    throw invalidOption("`target` must be a run, as its producer has it, or the stream of a handler.");
  }
  assertOptions("options", options, NAMES);
  assertCallback("onChunk", options.onChunk);
  const outlet = outletOf(target);
  try {
    const piped = await pipe(await opened(answer, target.signal), target, outlet, options.onChunk);
    await end(target, piped, options.more === true);
    return piped;
  } catch (error) {
    await outlet.close();
    if (!target.signal.aborted) await tell(target, error);
    throw error;
  }
}

async function pipe(
  stream: AnswerStream,
  target: RunTarget | StreamTarget,
  outlet: Outlet,
  onChunk: PipeAnswerOptions["onChunk"],
): Promise<Answer> {
  const before = totals.get(target) ?? {};
  const whole = new PipedAnswer();
  for await (const chunk of chunksOf(stream, target.signal)) {
    onChunk?.(chunk);
    switch (chunk.type) {
      case "text":
        whole.text += chunk.text;
        break;
      case "reasoning":
        whole.reasoning += chunk.text;
        break;
      case "tool-call":
        whole.toolCalls.push({ id: chunk.id, name: chunk.name, input: chunk.input });
        break;
      case "finish":
        whole.finishReason = chunk.reason;
        break;
      case "usage":
        whole.usage = chunk.usage;
        totals.set(target, addUsage(before, chunk.usage));
        await outlet.send("usage", totals.get(target));
        continue;
    }
    await outlet.write(chunk);
  }
  await outlet.close();
  return whole;
}

/** What all answers that went to the same place have cost. */
const totals = new WeakMap<object, Usage>();

function isRun(target: RunTarget | StreamTarget): target is RunTarget {
  return "text" in target && "meta" in target;
}

function outletOf(target: RunTarget | StreamTarget): Outlet {
  const send = (type: string, data?: unknown): Promise<void> => target.send(type, data);
  if (isRun(target)) return new Outlet({ send, text: (text) => target.text(text), joins: true });
  // A handler's writes are joined by its stream.
  return new Outlet({ send, text: (content) => send(TOKEN_EVENT, { content }), joins: false });
}

async function end(target: RunTarget | StreamTarget, { finishReason }: Answer, more: boolean): Promise<void> {
  const usage = totals.get(target);
  const result = { ...(finishReason && { finishReason }), ...(usage && { usage }) };
  if (isRun(target)) target.meta(result);
  else if (!more) await target.send(DONE_EVENT, result);
}

/** Tells clients of a provider's failure: at a run's end, which is to come, or now. */
async function tell(target: RunTarget | StreamTarget, error: unknown): Promise<void> {
  const failure: ErrorData | undefined = providerFailure(error);
  if (failure === undefined) return;
  if (isRun(target)) explainToClients(error, failure);
  else await target.send(ERROR_EVENT, failure).catch(ignore);
}

/** Waits for the stream, but not past an abort; one that comes later is ended. */
function opened(
  answer: AnswerStream | PromiseLike<AnswerStream>,
  signal: AbortSignal,
): Promise<AnswerStream> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    Promise.resolve(answer).then(
      (stream) => {
        signal.removeEventListener("abort", onAbort);
        resolve(stream);
        if (signal.aborted) discard(stream, signal).catch(ignore);
      },
      (error: unknown) => {
        signal.removeEventListener("abort", onAbort);
        reject(error);
      },
    );
  });
}

/** Asynchronous, since what came may be no stream at all, which `chunksOf` refuses with a throw. */
async function discard(stream: AnswerStream, signal: AbortSignal): Promise<void> {
  await chunksOf(stream, signal).next();
}

function ignore(): void {
  // Whoever is told by it has gone, or will be told by the error that follows.
}
