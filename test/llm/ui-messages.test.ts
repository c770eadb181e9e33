// Runs as the AI SDK's UI message streams, read by the AI SDK itself.
import { DefaultChatTransport, readUIMessageStream, type UIMessage } from "ai";
import { createHub, createRuns, type Hub, type Runs } from "everstream";
import { pipeAnswer, runUIMessages } from "everstream/llm";
import { afterEach, beforeEach, expect, test } from "vitest";

let hub: Hub;
let runs: Runs;
beforeEach(() => {
  hub = createHub();
  runs = createRuns({ hub, joinWait: 0 });
});
afterEach(async () => {
  await runs.close();
  await hub.close();
});

/** The message as the AI SDK's own transport and reader make it. */
async function messageOf(response: Response): Promise<UIMessage | undefined> {
  const transport = new DefaultChatTransport({ fetch: async () => response });
  const stream = await transport.reconnectToStream({ chatId: "c" });
  if (stream === null) return undefined;
  let last: UIMessage | undefined;
  for await (const message of readUIMessageStream({ stream })) last = message;
  return last;
}

const request = (path = "/") => new Request(`http://test${path}`);

async function* pieces(count: number, from = 0): AsyncGenerator<string> {
  for (let at = from; at < from + count; at++) yield `${at} `;
}

test("every join makes the same message: while it is written, and after", async () => {
  let go: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  await runs.start({
    id: "a",
    produce: async (run) => {
      await pipeAnswer(pieces(300), run);
      await run.send("reasoning", { content: "hm" });
      run.progress(0.5);
      await run.send("chart", { points: [1] });
      await gate;
      await pipeAnswer(pieces(300, 300), run);
      return { title: "Numbers" };
    },
  });
  const during = messageOf(await runUIMessages(runs, "a", request()));
  go();
  await runs.ended("a");
  // A cursor would leave the beginning out; this client can't mean one.
  const after = messageOf(await runUIMessages(runs, "a", request("/?lastEventId=x-1")));
  const [live, replayed] = await Promise.all([during, after]);
  const visible = (message: UIMessage | undefined) => ({
    ...message,
    parts: message?.parts.filter(({ type }) => type !== "data-progress"),
  });
  expect(visible(replayed)).toEqual(visible(live));
  expect(replayed?.id).toBe("a");
  expect(replayed?.metadata).toEqual({ title: "Numbers" });
  const text = replayed?.parts.map((part) => (part.type === "text" ? part.text : "")).join("");
  expect(text).toBe(Array.from({ length: 600 }, (_, at) => `${at} `).join(""));
  expect(replayed?.parts).toContainEqual({ type: "data-chart", data: { points: [1] } });
});

test("tools: an error's words stay here, arguments that are no JSON are an error", async () => {
  await runs.start({
    id: "a",
    produce: (run) =>
      pipeAnswer(
        (async function* () {
          yield { type: "tool-call", toolCallId: "1", toolName: "f", input: {} };
          yield { type: "tool-error", toolCallId: "1", toolName: "f", error: new Error("secret") };
          yield {
            type: "tool-call",
            toolCallId: "2",
            toolName: "g",
            input: "{",
            invalid: true,
            dynamic: true,
          };
          yield { type: "finish", finishReason: "stop", totalUsage: {} };
        })(),
        run,
      ),
  });
  const message = await messageOf(await runUIMessages(runs, "a", request(), { messageId: "m" }));
  expect(message?.id).toBe("m");
  expect(message?.parts.slice(1)).toMatchObject([
    { type: "tool-f", toolCallId: "1", state: "output-error", errorText: "The tool failed." },
    { type: "step-start" },
    { type: "dynamic-tool", toolName: "g", state: "output-error" },
  ]);
  expect(JSON.stringify(message)).not.toContain("secret");
});

test("by a key: the run that has it now, else nothing to resume", async () => {
  expect((await runUIMessages(runs, { key: "chat" }, request())).status).toBe(204);
  await runs.start({
    id: "a",
    key: "chat",
    produce: (run) => new Promise((end) => run.signal.addEventListener("abort", end)),
  });
  expect(await runs.holder("chat")).toBe("a");
  expect(await runs.holder("other")).toBeUndefined();
  const response = await runUIMessages(runs, { key: "chat" }, request());
  expect(response.status).toBe(200);
  await runs.stop("a");
  expect(await runs.holder("chat")).toBeUndefined();
  expect((await messageOf(response))?.id).toBe("a");
  expect((await runUIMessages(runs, { key: "chat" }, request())).status).toBe(204);
});

test("a run that is not there, and one that may not be read, are answered as runs answer", async () => {
  expect((await runUIMessages(runs, "nobody", request())).status).toBe(404);
  await runs.start({ id: "a", produce: () => undefined });
  const forbidden = await runUIMessages(runs, "a", request(), { authorize: () => false });
  expect(forbidden.status).toBe(403);
});

test("a reader that leaves ends its session, and not the run", async () => {
  await runs.start({
    id: "a",
    produce: (run) => new Promise((end) => run.signal.addEventListener("abort", end)),
  });
  const response = await runUIMessages(runs, "a", request());
  const reader = response.body?.getReader();
  await reader?.read();
  expect(hub.stats().sessions).toBe(1);
  const leaving = new AbortController();
  const other = await runUIMessages(runs, "a", new Request("http://test/", { signal: leaving.signal }));
  expect(other.status).toBe(200);
  leaving.abort();
  expect(hub.stats().sessions).toBe(1);
  await reader?.cancel();
  expect(hub.stats().sessions).toBe(0);
  expect((await runs.get("a"))?.state).toBe("running");
});
