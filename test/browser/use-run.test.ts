// `useRun` in a real browser, with either React's StrictMode on, over answers that the tests write by hand.
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Exchange } from "../client/server.ts";
import { launchChromium } from "./chromium.ts";
import { bundle, openPage, type StreamPage } from "./page-server.ts";
import type {} from "./pages/use-run.ts";

let browser: Browser;
let script: string;

beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

function open(answer?: (exchange: Exchange, index: number) => void): Promise<StreamPage> {
  return openPage(browser, script, { paths: /^\/runs\//, ...(answer && { answer }) });
}

/** Waits until the component shows that: the run's id, state and text, whether it is running, the connection's state. */
async function shows(page: Page, ...value: readonly unknown[]): Promise<void> {
  await expect.poll(() => page.locator("#run").textContent()).toBe(JSON.stringify(value));
}

function show(page: Page, id: string | null | undefined, isThere = true): Promise<void> {
  return page.evaluate(([next, there]) => runPage.show(next, there), [id, isThere] as const);
}

const text = (id: number, content: string): string =>
  `event: token\nid: ${id}\ndata: ${JSON.stringify({ content })}\n\n`;
const done = (id: number): string => `event: done\nid: ${id}\ndata: {}\n\n`;
const asked = (streams: readonly Exchange[]): string[] =>
  streams.map(({ request }) =>
    `${request.method} ${request.url} ${request.headers["last-event-id"] ?? ""}`.trim(),
  );

describe.each([19, 18] as const)("React %i: useRun", (version) => {
  beforeAll(async () => {
    script = await bundle("use-run.ts", version);
  });

  test("follows the run of its id over one connection, and with another id that one from its start", async () => {
    const { page, stream, streams, complaints } = await open();
    expect(await page.evaluate(() => runPage.reactVersion)).toMatch(new RegExp(`^${version}\\.`));
    await shows(page, null, null, null, false, "idle");
    await show(page, "a");
    const first = await stream(0);
    first.open(text(1, "one"));
    await shows(page, "a", "running", "one", true, "open");
    await show(page, "b");
    await first.gone;
    (await stream(1)).open(text(7, "two") + done(8));
    await shows(page, "b", "done", "two", false, "closed");
    await show(page, null);
    await shows(page, null, null, null, false, "idle");
    expect(asked(streams)).toEqual(["GET /runs/a", "GET /runs/b"]);
    expect(complaints).toEqual([]);
  });

  test("starts a run once, and goes on with it where its id is given", async () => {
    const { page, stream, streams, complaints } = await open();
    await shows(page, null, null, null, false, "idle");
    await page.evaluate(() => runPage.start("c"));
    const { open: answer, response, cut, body } = await stream(0);
    expect(JSON.parse(body)).toEqual({ question: "c" });
    answer(`retry: 1\n${text(1, "one")}`);
    await shows(page, "c", "running", "one", true, "open");
    await show(page, "c");
    response.write(text(2, " two"));
    await shows(page, "c", "running", "one two", true, "open");
    cut();
    (await stream(1)).open(text(3, " three") + done(4));
    await shows(page, "c", "done", "one two three", false, "closed");
    expect(asked(streams)).toEqual(["POST /runs/c", "GET /runs/c 2"]);
    expect(complaints).toEqual([]);
  });

  test("unmounted it ends the following alone, and mounted again reads the run from its start", async () => {
    const { page, stream, streams, complaints } = await open();
    await show(page, "d");
    const first = await stream(0);
    first.open(text(1, "one"));
    await shows(page, "d", "running", "one", true, "open");
    await show(page, "d", false);
    await first.gone;
    await show(page, "d");
    const second = await stream(1);
    second.open(text(2, "one two"));
    await shows(page, "d", "running", "one two", true, "open");
    second.response.write(done(3));
    await shows(page, "d", "done", "one two", false, "closed");
    expect(asked(streams)).toEqual(["GET /runs/d", "GET /runs/d"]);
    expect(complaints).toEqual([]);
  });

  test("one that is unmounted as soon as it has started a run has started it", async () => {
    const { page, stream, streams } = await open();
    await shows(page, null, null, null, false, "idle");
    await page.evaluate(() => {
      runPage.start("e");
      runPage.show(undefined, false);
    });
    const first = await stream(0);
    first.open(text(1, "one"));
    await first.gone;
    expect(asked(streams)).toEqual(["POST /runs/e"]);
  });

  test("stop ends the run itself, and the page hears how it ended", async () => {
    const { page, stream, streams, complaints } = await open((exchange) => {
      if (exchange.request.method === "DELETE") exchange.response.writeHead(204).end();
    });
    await show(page, "f");
    const first = await stream(0);
    first.open(text(1, "one"));
    await shows(page, "f", "running", "one", true, "open");
    await page.evaluate(() => runPage.stop());
    first.response.write('event: error\nid: 2\ndata: {"code":"stopped","message":"Stopped."}\n\n');
    await shows(page, "f", "stopped", "one", false, "closed");
    await page.evaluate(() => runPage.stop());
    expect(asked(streams)).toEqual(["GET /runs/f", "DELETE /runs/f"]);
    expect(complaints).toEqual([]);
  });
});
