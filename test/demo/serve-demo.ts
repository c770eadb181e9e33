import { mkdtemp, rm } from "node:fs/promises";
import type { Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAdaptorServer } from "@hono/node-server";
import { serveForTest, type TestServer } from "everstream/testing";
import { type AppOptions, createApp } from "../../demo/server/app.ts";

export interface DemoServer extends TestServer {
  readonly dataDir: string;
  /** Requests a route below `/api`. */
  api(path: string, init?: RequestInit): Promise<Response>;
  /** Posts JSON to a route below `/api`. */
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Response>;
  /** Signs in, and gives the cookies as a browser would send them. */
  signIn(user: string): Promise<string>;
  /** Has the application close, as at SIGTERM; its server still listens. */
  leave(): Promise<void>;
}

/** The reference application on a free port, with a data folder of its own unless one is given. */
export async function serveDemo(options: Partial<AppOptions> = {}): Promise<DemoServer> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), "everstream-demo-")));
  const demo = createApp({ ...options, dataDir });
  await demo.ready;
  const server = createAdaptorServer({ fetch: demo.app.fetch }) as Server;
  // One that closes idle connections does so, after a pause of this process, just when the next request goes over them.
  server.keepAliveTimeout = 0;
  const test = await serveForTest(server);
  const api: DemoServer["api"] = (path, init) => fetch(`${test.url}/api${path}`, init);
  const post: DemoServer["post"] = (path, body, headers) =>
    api(path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
  return {
    ...test,
    dataDir,
    api,
    post,
    signIn: async (user) => cookiesOf(await post("/session", { user })),
    leave: () => demo.close(),
    close: async () => {
      await demo.close();
      await test.close();
      if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
    },
  };
}

export function cookiesOf(response: Response): string {
  return response.headers
    .getSetCookie()
    .map((cookie) => cookie.split(";")[0])
    .join("; ");
}

/** The application's events, without those by which the connection is kept. */
export function ownEvents<E extends { readonly event: string }>(events: readonly E[]): E[] {
  return events.filter(({ event }) => !event.startsWith("sse:"));
}

/** The body of an answer that is an error, and its status. */
export async function problemOf(response: Response): Promise<{ status: number; error: string }> {
  const { error } = (await response.json()) as { error: string };
  return { status: response.status, error };
}
