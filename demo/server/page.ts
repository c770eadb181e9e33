import { existsSync } from "node:fs";
import { join } from "node:path";
import { serveStatic } from "@hono/node-server/serve-static";
import type { Hono } from "hono";
import type { DemoEnv } from "./http.ts";

/** The page loads nothing from elsewhere, and nothing may run in it that is not its own. */
const POLICY =
  "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/** Serves the built page. Its assets carry a hash of their content in their names, so they may be kept for ever. */
export function addPage(app: Hono<DemoEnv>, pageDir: string): void {
  if (!existsSync(join(pageDir, "index.html"))) {
    console.warn(`there is no page at ${pageDir}; only the API is served`);
    return;
  }
  app.use(
    "*",
    serveStatic({
      root: pageDir,
      onFound: (path, c) => {
        const lasting = path.startsWith(join(pageDir, "assets"));
        c.header("Cache-Control", lasting ? "public, max-age=31536000, immutable" : "no-cache");
        c.header("Content-Security-Policy", POLICY);
        c.header("X-Content-Type-Options", "nosniff");
        c.header("Referrer-Policy", "no-referrer");
      },
    }),
  );
}
