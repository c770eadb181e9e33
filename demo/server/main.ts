import { once } from "node:events";
import type { Server } from "node:http";
import { fileURLToPath } from "node:url";
import { serve } from "@hono/node-server";
import { closeStreams } from "everstream";
import { createApp, type DemoApp } from "./app.ts";
import { modelFromEnvironment } from "./chat/model.ts";
import { logFromEnvironment } from "./log.ts";

/** How long streams and requests may take to end before their connections are cut. */
const SHUTDOWN_MS = 5000;
/** How often connections over which nothing is asked any more are looked for meanwhile. */
const IDLE_MS = 100;

const port = portFromEnvironment();
const demo = await openApp();
const server = serve({ fetch: demo.app.fetch, port }) as Server;
server.on("error", (error) => {
  console.error(`could not listen on port ${port}: ${error.message}`);
  process.exit(1);
});
await once(server, "listening");
const address = server.address();
console.log(`listening on http://localhost:${typeof address === "object" ? address?.port : port}`);

let shutdown: Promise<void> | undefined;
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => {
    // A second signal means that somebody is tired of waiting.
    if (shutdown !== undefined) process.exit(1);
    shutdown = shutDown(server, demo).then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  });
}

/** The application with its log and its data folder open; where that can't be, there is nothing to serve. */
async function openApp(): Promise<DemoApp> {
  const { DATA_DIR, LOG, NODE_NAME } = process.env;
  const dataDir = DATA_DIR || "./data";
  try {
    const opened = createApp({
      dataDir,
      log: logFromEnvironment(LOG, dataDir),
      node: NODE_NAME || undefined,
      pageDir: fileURLToPath(new URL("../page", import.meta.url)),
      model: modelFromEnvironment(process.env),
    });
    await opened.ready;
    return opened;
  } catch (error) {
    const what = LOG ? "use the log that LOG names" : `use the data folder ${dataDir}`;
    console.error(`could not ${what}: ${error instanceof Error ? error.message : error}`);
    process.exit(1);
  }
}

/** Takes no more connections, ends every stream in good order, lets running requests finish, then gives up on them. */
async function shutDown(running: Server, { close }: DemoApp): Promise<void> {
  const closed = once(running, "close");
  running.close();
  const cut = setTimeout(() => running.closeAllConnections(), SHUTDOWN_MS);
  // Closing ends those that are idle now; others are kept for the client's next request once their last answer is out.
  const idle = setInterval(() => running.closeIdleConnections(), IDLE_MS);
  await Promise.all([closeStreams(), close()]);
  await closed;
  clearTimeout(cut);
  clearInterval(idle);
}

function portFromEnvironment(): number {
  const given = process.env.PORT || "3000";
  const wanted = Number(given);
  if (/^\d+$/.test(given) && wanted < 65_536) return wanted;
  console.error(`PORT must be a number from 0 to 65535, not "${given}".`);
  process.exit(1);
}
