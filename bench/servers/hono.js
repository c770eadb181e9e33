import { EventEmitter } from "node:events";
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { streamSSE } from "hono/streaming";
import { writeTokens } from "./event.js";
import { host } from "./host.js";
import { portOf, tokensAsked } from "./listen.js";

// What Hono's users write: an emitter in memory, each handler a listener that passes events on.

const emitter = new EventEmitter().setMaxListeners(0);

const app = new Hono();

app.get("/events", (c) =>
  streamSSE(c, async (stream) => {
    /** @param {string} data */
    const send = (data) => stream.writeSSE({ event: "tick", data });
    emitter.on("tick", send);
    await new Promise((resolve) => stream.onAbort(() => resolve(undefined)));
    emitter.off("tick", send);
  }),
);

app.get("/tokens", (c) =>
  streamSSE(c, async (stream) => {
    const { count, perTurn } = tokensAsked(new URL(c.req.url).searchParams);
    await writeTokens(count, perTurn, (data) => stream.writeSSE({ event: "token", data }));
  }),
);

await host({
  listen: () =>
    new Promise((resolve) => {
      const server = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, () =>
        resolve(portOf(server)),
      );
    }),
  publish: (data) => emitter.emit("tick", JSON.stringify(data)),
});
