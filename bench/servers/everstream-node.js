import { createHub } from "everstream";
import { streamSSE, streamTopics } from "everstream/node";
import { writeTokens } from "./event.js";
import { host } from "./host.js";
import { listenWith, tokensAsked, topicsAsked } from "./listen.js";

const hub = createHub();

const listen = listenWith((req, res, url) => {
  if (url.pathname === "/tokens") {
    const { count, perTurn } = tokensAsked(url.searchParams);
    streamSSE(req, res, (stream) =>
      writeTokens(count, perTurn, (data) => stream.writeSSE({ event: "token", data })),
    );
    return;
  }
  void streamTopics(req, res, hub, {
    topics: topicsAsked(url.searchParams),
    freeRequestHeaders: url.searchParams.has("free"),
  });
});

await host({
  listen,
  publish: (data, topic) => hub.publish(topic, { type: "tick", data }),
  pressesBack: true,
});
