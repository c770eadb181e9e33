import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { rolldown } from "rolldown";
import { onTestFinished } from "vitest";
import { type Exchange, startServer } from "../client/server.ts";

/** A page with one of the scripts in `pages/`, and the requests that it makes of its server for streams. */
export interface StreamPage {
  readonly page: Page;
  readonly url: string;
  readonly streams: readonly Exchange[];
  /** The stream request of that number, from 0, as soon as it came. */
  stream(index: number): Promise<Exchange>;
  /** Errors in the page, and what it wrote to its console as one. */
  readonly complaints: readonly string[];
}

/** What of the page's own is served besides its streams. */
export interface PageOptions {
  /** The server's rendering inside of `#root`. */
  readonly html?: string;
  /** What the script loads later, by path. */
  readonly files?: ReadonlyMap<string, string>;
  /** The paths of its streams. Default: those that begin with `/stream`. */
  readonly paths?: RegExp;
  readonly answer?: (exchange: Exchange, index: number) => void;
}

const source = (path: string): string => fileURLToPath(new URL(`../../src/${path}`, import.meta.url));

/** Where the major versions of React are found that tests run with. */
const REACT = {
  19: new URL("../../node_modules/", import.meta.url),
  18: new URL("../react-18/node_modules/", import.meta.url),
};
export type ReactVersion = keyof typeof REACT;

/** What Vue's build for bundlers leaves to them. */
const VUE_FLAGS = {
  __VUE_OPTIONS_API__: "false",
  __VUE_PROD_DEVTOOLS__: "false",
  __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "false",
};

/** Compiles components as any bundler with Svelte's plugin does. */
const svelte = {
  name: "svelte",
  async transform(code: string, id: string) {
    if (!id.endsWith(".svelte")) return null;
    const { compile } = await import("svelte/compiler");
    return { code: compile(code, { filename: id, generate: "client" }).js.code };
  },
};

/** A script, in `pages/` or with its whole path, with everything that it imports, development builds of frameworks included. */
export async function bundle(name: string, react: ReactVersion = 19): Promise<string> {
  const [script = ""] = (await bundleFiles(name, react, false)).values();
  return script;
}

/** The same as it is shipped: in several files, those that the script loads later under the names by which it asks for them. */
export function bundleSplit(name: string): Promise<ReadonlyMap<string, string>> {
  return bundleFiles(name, 19, true);
}

async function bundleFiles(
  name: string,
  react: ReactVersion,
  codeSplitting: boolean,
): Promise<ReadonlyMap<string, string>> {
  const frameworkPath = (path: string) => fileURLToPath(new URL(path, REACT[react]));
  const bundled = await rolldown({
    input: resolve(fileURLToPath(new URL("./pages/", import.meta.url)), name),
    platform: "browser",
    // Directives for servers that render React mean nothing here.
    checks: { moduleLevelDirective: false },
    resolve: {
      alias: {
        "everstream/client": source("client/index.ts"),
        "everstream/react": source("react/index.ts"),
        "everstream/vue": source("vue/index.ts"),
        "everstream/svelte": source("svelte/index.ts"),
        react: frameworkPath("react"),
        "react-dom": frameworkPath("react-dom"),
      },
    },
    plugins: [svelte],
    transform: { define: { "process.env.NODE_ENV": '"development"', ...VUE_FLAGS } },
  });
  const { output } = await bundled.generate({ format: "esm", codeSplitting });
  await bundled.close();
  return new Map(output.flatMap((file) => (file.type === "chunk" ? [[`/${file.fileName}`, file.code]] : [])));
}

/** Opens the page in a context of its own; both end with the test. */
export async function openPage(
  browser: Browser,
  script: string,
  options: PageOptions = {},
): Promise<StreamPage> {
  const { html = "", files, paths = /^\/stream/, answer } = options;
  const streams: Exchange[] = [];
  const waiting: (() => void)[] = [];
  const server = await startServer((exchange) => {
    const { request, response } = exchange;
    if (paths.test(request.url ?? "")) {
      streams.push(exchange);
      for (const resume of waiting.splice(0)) resume();
      answer?.(exchange, streams.length - 1);
    } else if (request.url?.endsWith(".js")) {
      const code = request.url === "/page.js" ? script : files?.get(request.url);
      response.writeHead(code === undefined ? 404 : 200, { "content-type": "text/javascript" }).end(code);
    } else if (request.url === "/favicon.ico") {
      response.writeHead(204).end();
    } else {
      const body = `<!doctype html><div id="root">${html}</div><script type="module" src="/page.js"></script>`;
      response.writeHead(200, { "content-type": "text/html" }).end(body);
    }
  });
  const context = await browser.newContext();
  onTestFinished(() => context.close());
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    // The browser itself reports the connections that tests cut.
    if (message.type() === "error" && !message.text().includes("net::ERR_")) complaints.push(message.text());
  });
  const url = new URL("/", server.url).href;
  await page.goto(url);
  return {
    page,
    url,
    streams,
    complaints,
    async stream(index) {
      for (;;) {
        const exchange = streams[index];
        if (exchange !== undefined) return exchange;
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
    },
  };
}
