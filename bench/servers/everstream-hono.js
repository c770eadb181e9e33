import { serve } from "@hono/node-server";
import { createHub } from "everstream";
import { streamSSE, streamTopics } from "everstream/hono";
import { Hono } from "hono";
import { writeTokens } from "./event.js";
import { host } from "./host.js";
import { portOf, tokensAsked, topicsAsked } from "./listen.js";

const hub = createHub();
const app = new Hono();

app.get("/events", (c) => streamTopics(c, hub, { topics: topicsAsked(new URL(c.req.url).searchParams) }));

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
  publish: (data, topic) => hub.publish(topic, { type: "tick", data }),
  pressesBack: true,
});
