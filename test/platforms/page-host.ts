// Serves the page of this folder to one browser, and has it run things: browsers need only be told to open it.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { serveForTest, type TestServer } from "../../src/testing/index.ts";

/** What the page is to run. */
export interface Task {
  readonly id: number;
  /** A case by its name, or a loop that lags until `name`, an address, has answered. */
  readonly kind: "case" | "lag";
  readonly name: string;
  readonly url: string;
}

export interface PageHost {
  readonly url: string;
  /** Has the page run it, and gives what it has seen. */
  run(kind: Task["kind"], name: string, url: string): Promise<unknown>;
  close(): Promise<void>;
}

export async function hostPage(script: string): Promise<PageHost> {
  const tasks: Task[] = [];
  const waiting: ServerResponse[] = [];
  const runs = new Map<number, (seen: unknown) => void>();
  let runsSoFar = 0;

  const hand = (): void => {
    for (let at = 0; at < waiting.length && tasks.length > 0; ) {
      const response = waiting.shift() as ServerResponse;
      if (response.destroyed) continue;
      response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(tasks.shift()));
    }
  };
  const server: TestServer = await serveForTest(
    createServer(async (request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? "", "http://localhost");
      if (pathname === "/") {
        response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" });
        response.end(
          `<!doctype html><title>everstream</title><script type="module" src="/page.js"></script>`,
        );
      } else if (pathname === "/page.js") {
        response.writeHead(200, { "Content-Type": "text/javascript; charset=utf-8" }).end(script);
      } else if (pathname === "/next") {
        waiting.push(response);
        hand();
      } else if (pathname === "/seen") {
        const { seen } = JSON.parse(await bodyOf(request)) as { seen: unknown };
        runs.get(Number(searchParams.get("id")))?.(seen);
        response.writeHead(204).end();
      } else response.writeHead(404).end();
    }),
  );
  return {
    url: `${server.url}/`,
    run: (kind, name, url) =>
      new Promise((resolve) => {
        const id = ++runsSoFar;
        runs.set(id, resolve);
        tasks.push({ id, kind, name, url });
        hand();
      }),
    close: () => server.close(),
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += chunk as string;
  return text;
}
