// The composables with the real Vue in a real browser, over connections that the tests write by hand.
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launchChromium } from "./chromium.ts";
import { bundle, openPage, type PageOptions, type StreamPage } from "./page-server.ts";
import type { TestApp } from "./pages/vue.ts";

let browser: Browser;
let script: string;

beforeAll(async () => {
  [browser, script] = await Promise.all([launchChromium(), bundle("vue.ts")]);
});
afterAll(() => browser.close());

async function open(options?: PageOptions): Promise<StreamPage> {
  return openPage(browser, script, options);
}

/** Shows the views of these names in a new application. */
async function mount(page: Page, ...names: string[]): Promise<void> {
  await change(page, { names });
  await page.evaluate(() => vueApp.mount());
}

async function change(page: Page, state: Partial<TestApp["state"]>): Promise<void> {
  await page.evaluate((next) => void Object.assign(vueApp.state, next), state);
}

/** Waits until the element shows that value as JSON. */
async function shows(page: Page, id: string, value: unknown): Promise<void> {
  await expect.poll(() => page.locator(`#${id}`).textContent()).toBe(JSON.stringify(value));
}

test("shows a stream's events over one connection for all components, and closes with the last", async () => {
  const { page, stream, streams, complaints } = await open();
  await mount(page, "log", "other");
  const { open: answer, response, gone } = await stream(0);
  answer();
  await shows(page, "log", ["", "open"]);
  response.write("data: a\n\ndata: b\n\n");
  await shows(page, "log", ["ab", "open"]);
  await shows(page, "other", ["ab", "open"]);
  await change(page, { names: ["other"] });
  response.write("data: c\n\n");
  await shows(page, "other", ["abc", "open"]);
  await page.evaluate(() => vueApp.unmount());
  await gone;
  expect(streams).toHaveLength(1);
  expect(complaints).toEqual([]);
});

test("takes every event of a burst once, and updates once a frame at most", async () => {
  const { page, stream } = await open();
  await mount(page, "log");
  const { open: answer, response } = await stream(0);
  answer();
  await shows(page, "log", ["", "open"]);
  const before = await page.evaluate(() => ({ updates: vueApp.updates, frames: vueApp.frames }));
  for (let batch = 0; batch < 10; batch++) {
    response.write("data: x\n\n".repeat(1000));
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
  }
  await shows(page, "log", ["x".repeat(10_000), "open"]);
  const after = await page.evaluate(() => ({ updates: vueApp.updates, frames: vueApp.frames }));
  expect(await page.evaluate(() => vueApp.reduced.length)).toBe(10_000);
  expect(after.updates - before.updates).toBeLessThanOrEqual(after.frames - before.frames + 1);
});

test("follows a reactive request: equal ones go on, others begin anew, null has none", async () => {
  const { page, stream, streams } = await open();
  await change(page, { request: { url: "/stream", headers: { "x-name": "vue" } } });
  await mount(page, "log");
  const first = await stream(0);
  expect(first.request.headers["x-name"]).toBe("vue");
  first.open("data: a\n\n");
  await shows(page, "log", ["a", "open"]);
  await change(page, { request: { headers: { "x-name": "vue" }, url: "/stream" } });
  first.response.write("data: b\n\n");
  await shows(page, "log", ["ab", "open"]);
  await change(page, { request: "/stream?2" });
  const second = await stream(1);
  await first.gone;
  second.open("data: c\n\n");
  await shows(page, "log", ["c", "open"]);
  await change(page, { request: undefined as unknown as null });
  await shows(page, "log", ["", "idle"]);
  await second.gone;
  await change(page, { request: null });
  await shows(page, "log", ["", "idle"]);
  expect(streams).toHaveLength(2);
});

test("gives its stream back while it is disabled, and goes on from where it was", async () => {
  const { page, stream } = await open();
  await mount(page, "log");
  const first = await stream(0);
  first.open("id: 1\ndata: a\n\n");
  await shows(page, "log", ["a", "open"]);
  await change(page, { enabled: false });
  await shows(page, "log", ["a", "idle"]);
  await first.gone;
  await change(page, { enabled: true });
  const second = await stream(1);
  expect(second.request.headers["last-event-id"]).toBe("1");
  second.open("id: 2\ndata: b\n\n");
  await shows(page, "log", ["ab", "open"]);
});

test("reopens a stream that failed", async () => {
  const { page, stream } = await open();
  await mount(page, "log");
  (await stream(0)).response.writeHead(401).end();
  await shows(page, "log", ["", "failed"]);
  await page.evaluate(() => vueApp.reopen());
  (await stream(1)).open("data: a\n\n");
  await shows(page, "log", ["a", "open"]);
});

test("takes up what the server rendered, without a mismatch", async () => {
  const { page, stream, complaints } = await open({
    html: '<p id="log">[&quot;&quot;,&quot;idle&quot;]</p>',
  });
  await page.evaluate(() => vueApp.hydrate());
  (await stream(0)).open("data: a\n\n");
  await shows(page, "log", ["a", "open"]);
  expect(complaints).toEqual([]);
});

test("lives and ends with an effect scope of no component", async () => {
  const { page, stream } = await open();
  await page.evaluate(() => vueApp.openScope());
  const { open: answer, gone } = await stream(0);
  answer("data: a\n\n");
  await expect.poll(() => page.evaluate(() => vueApp.scoped())).toBe("a");
  await page.evaluate(() => vueApp.closeScope());
  await gone;
});

test("follows a run by its id, and starts another", async () => {
  const { page, stream } = await open();
  await mount(page, "job");
  await shows(page, "job", [null, null, false]);
  await change(page, { run: "a" });
  const joined = await stream(0);
  expect(joined.request.url).toBe("/stream/runs/a");
  joined.open('id: 1\nevent: token\ndata: {"content":"hello"}\n\n');
  await shows(page, "job", ["a", "hello", true]);
  await page.evaluate(() => vueApp.start());
  await joined.gone;
  const started = await stream(1);
  expect([started.request.method, started.request.url]).toEqual(["POST", "/stream/runs/b"]);
  started.open("id: 1\nevent: done\ndata: {}\n\n");
  await shows(page, "job", ["b", "", false]);
});
