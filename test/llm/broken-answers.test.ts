// What providers, and servers that speak their protocols, send where something is unlike the rule.
import { AIMessageChunk } from "@langchain/core/messages";
import type { Runs } from "everstream";
import { type AnswerChunk, type AnswerStream, chunksOf, pipeAnswer, runUIMessages } from "everstream/llm";
import { expect, onTestFinished, test, vi } from "vitest";
import { RunProgress } from "../../src/runs/progress.ts";
import { eventually } from "../session/eventually.ts";

async function* from(items: readonly unknown[]): AsyncGenerator<unknown> {
  yield* items;
}

async function chunksIn(...items: unknown[]): Promise<AnswerChunk[]> {
  const chunks: AnswerChunk[] = [];
  for await (const chunk of chunksOf(from(items) as AnswerStream)) chunks.push(chunk);
  return chunks;
}

const completion = (delta: object, finish: string | null = null) => ({
  object: "chat.completion.chunk",
  choices: [{ index: 0, delta, finish_reason: finish }],
});

const callsIn = (chunks: readonly AnswerChunk[]) => chunks.filter(({ type }) => type === "tool-call");

test("what cannot be read and comes after the stop leaves nothing unhandled", async () => {
  const unhandled: unknown[] = [];
  const onUnhandled = (error: unknown) => unhandled.push(error);
  process.on("unhandledRejection", onUnhandled);
  onTestFinished(() => void process.off("unhandledRejection", onUnhandled));
  const stop = new AbortController();
  let give: (answer: AnswerStream) => void = () => undefined;
  const answer = new Promise<AnswerStream>((resolve) => {
    give = resolve;
  });
  const piping = pipeAnswer(answer, { signal: stop.signal, send: async () => undefined });
  stop.abort("stopped");
  await expect(piping).rejects.toBe("stopped");
  give({ choices: [] } as unknown as AnswerStream);
  await new Promise((resolve) => setTimeout(resolve, 10));
  expect(unhandled).toEqual([]);
});

test("AI SDK: an answer that was aborted is incomplete, for the reason that the part gives", async () => {
  const half = [{ type: "text-delta", id: "1", text: "half" }];
  await expect(chunksIn(...half, { type: "abort", reason: "timeout" })).rejects.toMatchObject({
    code: "NETWORK",
    cause: "timeout",
  });
});

test("LangChain: whole calls are read beside an empty list of pieces", async () => {
  const chunk = new AIMessageChunk({ content: "", tool_calls: [{ id: "a", name: "f", args: { x: 1 } }] });
  expect(callsIn(await chunksIn(chunk))).toEqual([
    { type: "tool-call", id: "a", name: "f", input: { x: 1 } },
  ]);
});

const TWO_CALLS = [
  { type: "tool-call", id: "t1", name: "f", input: { x: 1 } },
  { type: "tool-call", id: "t2", name: "g", input: { y: 2 } },
];

test("OpenAI: calls with the same index are told apart by their ids", async () => {
  const call = (id: string, name: string, args: string) =>
    completion({ tool_calls: [{ index: 0, id, function: { name, arguments: args } }] });
  const chunks = await chunksIn(
    call("t1", "f", '{"x":'),
    completion({ tool_calls: [{ index: 0, id: "", function: { arguments: "1}" } }] }),
    call("t2", "g", '{"y":2}'),
    completion({}, "tool_calls"),
  );
  expect(callsIn(chunks)).toEqual(TWO_CALLS);
});

test("LangChain: calls with the same index are told apart by their ids", async () => {
  const tool_call_chunks = [
    { index: 0, id: "t1", name: "f", args: '{"x":1}' },
    { index: 0, id: "t2", name: "g", args: '{"y":2}' },
  ];
  expect(callsIn(await chunksIn({ content: "", tool_call_chunks }))).toEqual(TWO_CALLS);
});

test("OpenAI: an empty finish reason is none", async () => {
  await expect(chunksIn(completion({ content: "a" }, ""))).rejects.toMatchObject({ code: "NETWORK" });
  expect((await chunksIn(completion({ content: "a" }, ""), completion({}, "length"))).at(-1)).toEqual({
    type: "finish",
    reason: "length",
  });
});

test("a UI message stream that fails for a gap ends the run's stream", async () => {
  const cancel = vi.fn();
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode("event: sse:gap\ndata: {}\n\n")),
    cancel,
  });
  const headers = { "content-type": "text/event-stream" };
  const runs = { respond: async () => new Response(body, { headers }), holder: async () => "a" };
  const response = await runUIMessages(runs as unknown as Runs, "a", new Request("http://test/"));
  await expect(response.text()).rejects.toMatchObject({ code: "NOT_RESUMABLE" });
  expect(cancel).toHaveBeenCalledOnce();
});

test("a report that is refused does not silence those after it", async () => {
  const send = vi.fn(async (_data: unknown) => undefined).mockRejectedValueOnce(new Error("refused"));
  const progress = new RunProgress(new Map(), 0, send);
  progress.report(0.1);
  await Promise.resolve();
  await new Promise((resolve) => setTimeout(resolve, 0));
  progress.report(0.5);
  await eventually(() => expect(send).toHaveBeenCalledTimes(2));
  expect(send.mock.calls[1]?.[0]).toMatchObject({ progress: 50 });
});
