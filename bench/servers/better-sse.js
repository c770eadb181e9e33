import { once } from "node:events";
import { createChannel, createSession } from "better-sse";
import { writeTokens } from "./event.js";
import { host } from "./host.js";
import { listenWith, tokensAsked } from "./listen.js";

const channel = createChannel();

const listen = listenWith((req, res, url) => {
  void createSession(req, res).then(async (session) => {
    if (url.pathname !== "/tokens") {
      channel.register(session);
      return;
    }
    const { count, perTurn } = tokensAsked(url.searchParams);
    // `push` tells nothing of a full socket, so the handler looks at the response itself.
    await writeTokens(count, perTurn, (token) => {
      session.push(token, "token");
      return res.writableNeedDrain ? once(res, "drain") : undefined;
    });
    res.end();
  });
});

await host({ listen, publish: (data) => channel.broadcast(data, "tick") });
