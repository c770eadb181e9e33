/**
 * The client's entry in Node, whose `fetch` gives up a response on which nothing came for 300 seconds. Of a stream that can be
 * resumed that is only a reconnection; a POST, or a prompt's answer, would be lost.
 */
import { setHost } from "./connection.ts";

export * from "./index.ts";

interface Dispatcher {
  dispatch(options: object, handler: unknown): boolean;
}

/** Where Node's `fetch` finds what sends its requests; somebody may have put another there. */
const GLOBAL_DISPATCHER = Symbol.for("undici.globalDispatcher.1");

/** Sends as the global one does at that moment, but waits for the body's next bytes for as long as it takes. */
const patient: Dispatcher = {
  dispatch(options, handler) {
    const dispatcher = Reflect.get(globalThis, GLOBAL_DISPATCHER) as Dispatcher;
    return dispatcher.dispatch({ ...options, bodyTimeout: 0 }, handler);
  },
};

setHost({
  fetch(input, init) {
    // The dispatcher is there from the first use on, and not at all in other runtimes that take this entry.
    const known = GLOBAL_DISPATCHER in globalThis ? { ...init, dispatcher: patient } : init;
    return fetch(input, known);
  },
});
