// The client's core, and a browser's own EventSource, in one browser, out of the packed package.
import { afterAll, beforeAll } from "vitest";
import { packed } from "../setup/inject-packed.ts";
import type { OpenBrowser } from "./browsers.ts";
import { coreCases } from "./cases.ts";
import { bundle } from "./entries.ts";
import { nativeCases } from "./native-cases.ts";
import { hostPage, type PageHost } from "./page-host.ts";
import { leavingCases } from "./stream-cases.ts";
import { describeCases, describeLag, describeLeaving, type Run } from "./suite.ts";

/**
 * @param readsAhead The browser reads whatever comes into memory of its own, so that no page holds back a server.
 */
export function describeBrowser(
  name: string,
  open: (url: string) => Promise<OpenBrowser>,
  { readsAhead = false } = {},
): void {
  let host: PageHost;
  let browser: OpenBrowser | undefined;
  beforeAll(async () => {
    host = await hostPage(await bundle("page.ts", packed().consumer));
    browser = await open(host.url);
  });
  afterAll(async () => {
    await browser?.close();
    await host?.close();
  });

  const run: Run = (test, url) => host.run("case", test, url);
  describeCases(name, [...coreCases, ...nativeCases], run);
  describeLeaving(name, leavingCases, run);
  if (!readsAhead) describeLag(name, (url, hold) => host.run("lag", hold, url));
}
