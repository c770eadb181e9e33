// How each runtime is given the application: files made in a folder where the packed package is installed.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/**
 * A file of this folder as one module.
 *
 * @param from Where the package is installed; it goes into the module from there. Without it, it stays an import.
 */
export async function bundle(name: string, from?: string): Promise<string> {
  const bundled = await rolldown({
    input: here(name),
    platform: "browser",
    ...(from === undefined ? { external: /^everstream/ } : { resolve: { alias: packageIn(from) } }),
  });
  const { output } = await bundled.generate({ format: "esm", codeSplitting: false });
  await bundled.close();
  return output[0].code;
}

/** Where the entries that the applications import lie, in the installed package. */
function packageIn(consumer: string): Record<string, string> {
  const dist = join(consumer, "node_modules/everstream/dist");
  return {
    "everstream/client": join(dist, "client/index.js"),
    "everstream/protocol": join(dist, "protocol/index.js"),
    everstream: join(dist, "index.js"),
  };
}

const ROUTES =
  "(request) => new URL(request.url).pathname.startsWith('/hub/') ? hub.answer(request) : app(request)";

/** A server for Bun, which tells its port. Bun closes idle connections after ten seconds, unless it is told not to. */
export const BUN = `
import { app, HubApp } from "./app.js";
const hub = new HubApp();
const server = Bun.serve({ hostname: "127.0.0.1", port: 0, idleTimeout: 0, fetch: ${ROUTES} });
console.log("port " + server.port);
`;

/** A server for Deno, which tells its port. */
export const DENO = `
import { app, HubApp } from "./app.js";
const hub = new HubApp();
Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: ({ port }) => console.log("port " + port) }, ${ROUTES});
`;

/**
 * Workers share nothing between requests; a hub needs a Durable Object, which is one place for all of them.
 */
export const WORKER = `
import { DurableObject } from "cloudflare:workers";
import { app, HubApp } from "./app.js";
export class HubObject extends DurableObject {
  hub = new HubApp();
  fetch(request) { return this.hub.answer(request); }
}
export default {
  fetch(request, env) {
    if (!new URL(request.url).pathname.startsWith("/hub/")) return app(request);
    return env.HUB.get(env.HUB.idFromName("hub")).fetch(request);
  },
};
`;

/** Its requests may go to loopback addresses and nowhere else. */
export const WORKERD = `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    ( name = "main", worker = (
      modules = [
        ( name = "worker.js", esModule = embed "worker.js" ),
        ( name = "app.js", esModule = embed "app.js" ),
      ],
      compatibilityDate = "2026-11-01",
      compatibilityFlags = [ "enable_request_signal" ],
      globalOutbound = "loopback",
      bindings = [ ( name = "HUB", durableObjectNamespace = "HubObject" ) ],
      durableObjectNamespaces = [ ( className = "HubObject", uniqueKey = "everstream-tests" ) ],
      durableObjectStorage = ( inMemory = void ),
    ) ),
    ( name = "loopback", network = ( allow = [ "local" ] ) ),
  ],
  sockets = [ ( name = "http", address = "127.0.0.1:0", http = (), service = "main" ) ],
);
`;

/** Writes the files into a folder, and gives their paths by name. */
export async function writeEntries(
  folder: string,
  files: Readonly<Record<string, string>>,
): Promise<Record<string, string>> {
  const written = Object.entries(files).map(async ([name, text]): Promise<[string, string]> => {
    const path = join(folder, name);
    await writeFile(path, text);
    return [name, path];
  });
  return Object.fromEntries(await Promise.all(written));
}
