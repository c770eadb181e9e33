// The entry that Node gets, with all that the other has.
import { expect, onTestFinished, test } from "vitest";
import * as everywhere from "../../src/client/index.ts";
import * as inNode from "../../src/client/node.ts";
import { closing, recordData, startServer } from "./server.ts";

interface Dispatcher {
  dispatch(options: object, handler: unknown): boolean;
}

const KEY = Symbol.for("undici.globalDispatcher.1");

/** Puts another dispatcher in the global one's place, which the first use of fetch's classes makes. */
function replaceDispatcher(make: (before: Dispatcher) => Dispatcher): void {
  new Headers();
  const before = Reflect.get(globalThis, KEY) as Dispatcher;
  Reflect.set(globalThis, KEY, make(before));
  onTestFinished(() => void Reflect.set(globalThis, KEY, before));
}

test("has everything of the other entry", () => {
  expect(Object.keys(inNode)).toEqual(Object.keys(everywhere));
});

test("a quiet stream that can't be resumed is not ended by the time that Node gives a body", async () => {
  // One of the runtime's own, with a short time in place of five minutes.
  replaceDispatcher((before) =>
    Reflect.construct(before.constructor as new (options: object) => Dispatcher, [{ bodyTimeout: 300 }]),
  );
  const server = await startServer((exchange) => exchange.open());
  const stream = closing(inNode.openEventStream(server.url, { method: "POST", body: "{}" }));
  const data = recordData(stream);
  const { response } = await server.exchange(0);
  const source = closing(new inNode.EventSource(server.url));
  await server.exchange(1);
  // Opened later than they were, and ended by that time.
  const plain = await fetch(server.url);
  await expect(plain.text()).rejects.toMatchObject({ cause: { code: "UND_ERR_BODY_TIMEOUT" } });
  response.write("data: at last\n\n");
  expect(await data.count(1)).toEqual(["at last"]);
  expect(source.readyState).toBe(source.OPEN);
  expect(server.exchanges).toHaveLength(3);
});

test("a dispatcher that somebody puts there later is asked", async () => {
  const server = await startServer((exchange) => exchange.open("data: a\n\n"));
  const asked: object[] = [];
  replaceDispatcher((before) => ({
    dispatch(options, handler) {
      asked.push(options);
      return before.dispatch(options, handler);
    },
  }));
  expect(await recordData(closing(inNode.openEventStream(server.url))).count(1)).toEqual(["a"]);
  expect(asked).toMatchObject([{ path: "/stream", bodyTimeout: 0 }]);
});
