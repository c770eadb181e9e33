// The stores with the real Svelte, its compiler included, in a real browser, over connections that the tests write by hand.
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launchChromium } from "./chromium.ts";
import { bundle, openPage, type PageOptions, type StreamPage } from "./page-server.ts";
import type {} from "./pages/svelte.ts";

let browser: Browser;
let script: string;

beforeAll(async () => {
  [browser, script] = await Promise.all([launchChromium(), bundle("svelte.ts")]);
});
afterAll(() => browser.close());

async function open(options?: PageOptions): Promise<StreamPage> {
  return openPage(browser, script, options);
}

async function show(page: Page, url = "/stream"): Promise<void> {
  await page.evaluate((at) => svelteApp.show(at), url);
}

/** Waits until the element shows that value as JSON. */
async function shows(page: Page, id: string, value: unknown): Promise<void> {
  await expect.poll(() => page.locator(`#${id}`).textContent()).toBe(JSON.stringify(value));
}

test("opens with the first subscriber, gives every event once, and closes with the last", async () => {
  const { page, stream, streams, complaints } = await open();
  await show(page);
  const { open: answer, response, gone } = await stream(0);
  answer();
  await shows(page, "quotes", ["", "open"]);
  response.write("data: a\n\ndata: b\n\n");
  await shows(page, "quotes", ["ab", "open"]);
  expect(await page.evaluate(() => svelteApp.seen)).toEqual(["a", "b"]);
  await page.evaluate(() => svelteApp.end());
  await gone;
  expect(streams).toHaveLength(1);
  expect(complaints).toEqual([]);
});

test("reopens a stream that failed", async () => {
  const { page, stream } = await open();
  await show(page);
  (await stream(0)).response.writeHead(401).end();
  await shows(page, "quotes", ["", "failed"]);
  await page.evaluate(() => svelteApp.reopen());
  (await stream(1)).open("data: a\n\n");
  await shows(page, "quotes", ["a", "open"]);
});

test("shares one connection with Svelte's own stores over it, and goes on after its last event", async () => {
  const { page, stream, streams } = await open();
  await page.evaluate(() => svelteApp.watchLength());
  await show(page);
  const first = await stream(0);
  first.open("id: 1\ndata: abc\n\n");
  await shows(page, "quotes", ["abc", "open"]);
  await expect.poll(() => page.evaluate(() => svelteApp.lengths)).toEqual([0, 3]);
  await page.evaluate(() => svelteApp.stopWatching());
  first.response.write("id: 2\ndata: d\n\n");
  await shows(page, "quotes", ["abcd", "open"]);
  expect(await page.evaluate(() => svelteApp.lengths)).toEqual([0, 3]);
  await page.evaluate(() => svelteApp.end());
  await first.gone;
  expect(streams).toHaveLength(1);
});

test("is another store where the URL is another one", async () => {
  const { page, stream, streams } = await open();
  await show(page);
  const first = await stream(0);
  first.open("data: a\n\n");
  await shows(page, "quotes", ["a", "open"]);
  await page.evaluate(() => svelteApp.go("/stream?2"));
  const second = await stream(1);
  await first.gone;
  second.open("data: b\n\n");
  await shows(page, "quotes", ["b", "open"]);
  await page.evaluate(() => svelteApp.end());
  await second.gone;
  expect(streams).toHaveLength(2);
});

test("takes up what the server rendered", async () => {
  const html = '<!--[--><p id="quotes">["","idle"]</p> <p id="quotes-run">null</p><!--]-->';
  const { page, stream, complaints } = await open({ html });
  await page.evaluate(() => svelteApp.hydrate("/stream"));
  (await stream(0)).open("data: a\n\n");
  await shows(page, "quotes", ["a", "open"]);
  expect(complaints).toEqual([]);
});

test("follows a run", async () => {
  const { page, stream } = await open({
    answer: ({ request, open }) => void (request.url === "/stream" && open()),
  });
  await show(page);
  await stream(0);
  await page.evaluate(() => svelteApp.join("a"));
  const { request, open: answer } = await stream(1);
  expect(request.url).toBe("/stream/runs/a");
  answer('id: 1\nevent: token\ndata: {"content":"hello"}\n\n');
  await shows(page, "quotes-run", "hello");
});
