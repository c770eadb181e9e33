// What happens to listeners that come and go while they are called.
import { openEventStream, type StreamEvent, startRun } from "everstream/client";
import { expect, onTestFinished, test } from "vitest";
import { closing, reached, recordData, startServer } from "./server.ts";

test("a listener that takes itself away and comes back hears of each event once", async () => {
  const server = await startServer((exchange) => exchange.open("data: a\n\ndata: b\n\n"));
  const stream = closing(openEventStream(server.url));
  const seen: string[] = [];
  const listener = ({ data }: StreamEvent): void => {
    // What would go on for ever is over after some.
    if (seen.push(data) > 10) stream.close();
    off();
    off = stream.on("message", listener);
  };
  let off = stream.on("message", listener);
  await recordData(stream).count(2);
  expect(seen).toEqual(["a", "b"]);
});

test("what begins in a listener begins with the next event", async () => {
  const server = await startServer((exchange) => exchange.open("data: a\n\ndata: b\n\ndata: c\n\n"));
  const stream = closing(openEventStream(server.url));
  const heard: string[] = [];
  let loop: AsyncIterator<StreamEvent> | undefined;
  const stop = stream.onEvent(() => {
    stop();
    stream.onEvent(({ data }) => heard.push(data));
    loop = stream[Symbol.asyncIterator]();
  });
  await recordData(stream).count(3);
  expect(heard).toEqual(["b", "c"]);
  expect(await loop?.next()).toMatchObject({ value: { data: "b" } });
});

test("a listener that another one has taken away is not called any more", async () => {
  const server = await startServer((exchange) => exchange.open("data: a\n\n"));
  const stream = closing(openEventStream(server.url));
  const seen: string[] = [];
  stream.onEvent(() => off());
  const off = stream.onEvent(({ data }) => seen.push(data));
  await recordData(stream).count(1);
  expect(seen).toEqual([]);
});

test("a listener for the status that begins in another one hears of the next", async () => {
  const server = await startServer((exchange) => exchange.open());
  const stream = closing(openEventStream(server.url));
  const states: string[] = [];
  const stop = stream.onStatus(() => {
    stop();
    stream.onStatus(({ state }) => states.push(state));
  });
  stream.onEvent(() => undefined);
  await reached(stream, "open");
  expect(states).toEqual(["open"]);
});

test("a listener for a run's text that begins in another one is told each piece once", async () => {
  const server = await startServer((exchange) =>
    exchange.open(
      'event: token\nid: 1\ndata: {"content":"Hello"}\n\nevent: token\nid: 2\ndata: {"content":"!"}\n\nevent: done\nid: 3\ndata: {}\n\n',
    ),
  );
  const run = startRun(server.url);
  onTestFinished(() => run.close());
  const told: string[] = [];
  const stop = run.onText(() => {
    stop();
    run.onText((piece) => told.push(piece));
  });
  await run.finished;
  expect(told).toEqual(["Hello", "!"]);
});
