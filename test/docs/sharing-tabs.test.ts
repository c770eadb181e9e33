// The examples of docs/sharing.md, as they stand, in several tabs of a real browser.
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { launchChromium } from "../browser/chromium.ts";
import { bundle, openPage, type StreamPage } from "../browser/page-server.ts";
import { writeExample } from "../setup/doc-example.ts";

const page = "docs/sharing.md";
let browser: Awaited<ReturnType<typeof launchChromium>>;
beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

/** A server of pages with an example, and the stream that it asks for. */
async function serve(last: string, below?: string): Promise<StreamPage> {
  const file = await writeExample(page, last, below === undefined ? {} : { below });
  const opened = await openPage(browser, await bundle(file), {
    paths: /^\/notifications/,
    html: `<script>globalThis.userId = location.search;</script>`,
    answer: ({ open }) => open(),
  });
  // It has asked for its stream before another tab can.
  await opened.stream(0);
  return opened;
}

/** Opens one more tab, and says what it writes to its console; resolves once its stream is open. */
async function openTab(opened: StreamPage, search = ""): Promise<{ tab: Page; lines: string[] }> {
  const tab = await opened.page.context().newPage();
  const lines: string[] = [];
  tab.on("console", (message) => lines.push(message.text()));
  await tab.goto(opened.url + search);
  await expect.poll(() => lines).toContain("open");
  return { tab, lines };
}

it("tells every tab what comes over one connection, whichever tab has it", async () => {
  const opened = await serve("");
  const [first, second] = [await openTab(opened), await openTab(opened)];
  opened.streams[0]?.response.write("event: alert\ndata: fire\n\n");
  for (const { lines } of [first, second]) {
    await expect.poll(() => lines).toContain("fire");
  }
  expect(opened.streams).toHaveLength(1);
  await opened.page.close();
  const { response } = await opened.stream(1);
  response.write("event: alert\ndata: all clear\n\n");
  for (const { lines } of [first, second]) {
    await expect.poll(() => lines).toContain("all clear");
  }
});

it("shares with the tabs of the same user alone", async () => {
  const listen = `
    stream.onStatus(({ state }) => console.log(state));
    stream.on("alert", ({ data }) => console.warn(data));`;
  const opened = await serve(listen, "Who shares");
  const ada = [await openTab(opened, "?ada"), await openTab(opened, "?ada")];
  const bob = await openTab(opened, "?bob");
  // That of the page that was opened first is nobody's.
  expect(opened.streams).toHaveLength(3);
  opened.streams[1]?.response.write("event: alert\ndata: for ada\n\n");
  for (const { lines } of ada) await expect.poll(() => lines).toContain("for ada");
  opened.streams[2]?.response.write("event: alert\ndata: for bob\n\n");
  await expect.poll(() => bob.lines).toContain("for bob");
  expect(bob.lines).not.toContain("for ada");
});
