import type { Hono } from "hono";
import { type DemoEnv, problem } from "./http.ts";

/** Methods that change nothing (RFC 9110, 9.2.1). */
const SAFE: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/**
 * Keeps other sites' pages from using the API with their visitors' browsers: cookies do not go along (`SameSite`), but files
 * would be stored and models asked, and who visits could be signed in as somebody else. Whoever is no browser says nothing of
 * where a request comes from, and is let in. No answer is taken for another type than it says.
 */
export function refuseOtherSites(app: Hono<DemoEnv>): void {
  app.use("/api/*", async (c, next) => {
    if (isFromElsewhere(c.req.method, (name) => c.req.header(name))) {
      throw problem(403, "pages of other sites may not use this");
    }
    await next();
    c.header("X-Content-Type-Options", "nosniff");
  });
}

/** Browsers tell it themselves where the server is one that they trust, by HTTPS or on the same machine. */
function isFromElsewhere(method: string, header: (name: string) => string | undefined): boolean {
  const isSafe = SAFE.has(method);
  const site = header("sec-fetch-site");
  if (site !== undefined) return site === "cross-site" || (site === "same-site" && !isSafe);
  const origin = header("origin");
  if (isSafe || origin === undefined) return false;
  const hosts = [header("host"), header("x-forwarded-host")];
  return !URL.canParse(origin) || !hosts.includes(new URL(origin).host);
}
