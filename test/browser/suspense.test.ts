// Suspense, error boundaries and the provider, in a real browser with React's StrictMode on.
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { launchChromium } from "./chromium.ts";
import { bundle, bundleSplit, openPage, type PageOptions, type StreamPage } from "./page-server.ts";
import type {} from "./pages/suspense.ts";

let browser: Browser;
let script: string;

beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

async function open(options?: PageOptions): Promise<StreamPage> {
  return openPage(browser, script, options);
}

async function show(page: Page, ...names: string[]): Promise<void> {
  await page.evaluate((all) => tree.show(...all), names);
}

/** Waits until the element shows that value as JSON. */
async function shows(page: Page, id: string, value: unknown): Promise<void> {
  await expect
    .poll(() =>
      page
        .locator(`#${id}`)
        .textContent({ timeout: 1000 })
        .catch(() => ""),
    )
    .toBe(JSON.stringify(value));
}

const read = <K extends "reduced" | "seen" | "shown">(page: Page, key: K) =>
  page.evaluate((name) => tree[name], key);

describe.each([19, 18] as const)("React %i: Suspense", (version) => {
  beforeAll(async () => {
    script = await bundle("suspense.ts", version);
  });

  test("waits for the first event over one connection, and begins with all that has come", async () => {
    const { page, stream, streams, complaints } = await open();
    await show(page, "quote");
    const { open: answer, response, gone } = await stream(0);
    await shows(page, "fallback", "waiting");
    answer();
    await shows(page, "fallback", "waiting");
    response.write("data: a\n\ndata: b\n\n");
    await shows(page, "quote", ["ab", "open"]);
    response.write("data: c\n\n");
    await shows(page, "quote", ["abc", "open"]);
    expect(await read(page, "seen")).toEqual(["a", "b", "c"]);
    const shown = await read(page, "shown");
    expect(shown.filter((value) => value === null)).toEqual([]);
    await show(page);
    await gone;
    expect(streams).toHaveLength(1);
    expect(complaints).toEqual([]);
  });

  test("reports what onEvent throws, of early events too, and goes on", async () => {
    const { page, stream, complaints } = await open();
    await show(page, "quote");
    (await stream(0)).open("data: bad\n\ndata: a\n\n");
    await shows(page, "quote", ["bada", "open"]);
    await expect.poll(() => read(page, "seen")).toEqual(["bad", "a"]);
    expect(complaints).toEqual(["Error: onEvent failed"]);
  });

  test("each of several components that wait has its own value of the same events", async () => {
    const { page, stream, streams } = await open();
    await show(page, "twice");
    (await stream(0)).open("data: a\n\n");
    await shows(page, "quote", ["a", "open"]);
    await shows(page, "second", ["a", "open"]);
    (await stream(0)).response.write("data: b\n\n");
    await shows(page, "quote", ["ab", "open"]);
    await shows(page, "second", ["ab", "open"]);
    expect(await read(page, "seen")).toEqual(["a", "a", "b", "b"]);
    expect(streams).toHaveLength(1);
  });

  test("waits on while the first connection is only delayed", async () => {
    const { page, stream } = await open({
      answer: ({ response }, index) => void (index === 0 && response.writeHead(503).end()),
    });
    await show(page, "quote");
    await stream(0);
    (await stream(1)).open("data: a\n\n");
    await shows(page, "quote", ["a", "open"]);
  });

  test("gives the error of a first connection that failed to the error boundary, which can try again", async () => {
    const { page, streams, stream } = await open({
      answer: ({ response }, index) => void (index === 0 && response.writeHead(403).end()),
    });
    await show(page, "quote");
    await shows(page, "error", ["HTTP_STATUS", 403]);
    expect(streams).toHaveLength(1);
    // The same error is told for a moment. A page's timers end in order, so that this one ends after that.
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 600)));
    await page.evaluate(() => tree.retry());
    (await stream(1)).open("data: a\n\n");
    await shows(page, "quote", ["a", "open"]);
  });

  test("later failures are told by the status", async () => {
    const { page, stream } = await open({
      answer: ({ response }, index) => void (index === 1 && response.writeHead(403).end()),
    });
    await show(page, "quote");
    (await stream(0)).open("retry: 1\nid: 1\ndata: a\n\n");
    await shows(page, "quote", ["a", "open"]);
    (await stream(0)).cut();
    await shows(page, "quote", ["a", "failed"]);
  });

  test("shows the initial value of a stream that has ended without an event", async () => {
    const { page } = await open({ answer: ({ response }) => response.writeHead(204).end() });
    await show(page, "quote");
    await shows(page, "quote", [null, "closed"]);
  });

  test("waits anew where the request changes: by the fallback, or in a transition by what was shown", async () => {
    const { page, stream, streams, complaints } = await open();
    await show(page, "route");
    const first = await stream(0);
    first.open("data: a\n\n");
    await shows(page, "quote", ["a", "open"]);
    await page.evaluate(() => tree.go("/stream?2", false));
    const second = await stream(1);
    await shows(page, "fallback", "waiting");
    second.open("data: b\n\n");
    await first.gone;
    await expect.poll(() => page.locator("#quote").isVisible()).toBe(true);
    await shows(page, "quote", ["b", "open"]);
    await page.evaluate(() => tree.go("/stream?3", true));
    const third = await stream(2);
    second.response.write("data: c\n\n");
    await shows(page, "quote", ["bc", "open"]);
    expect(await page.locator("#fallback").count()).toBe(0);
    third.open("data: d\n\n");
    await second.gone;
    await shows(page, "quote", ["d", "open"]);
    expect(await read(page, "seen")).toEqual(["a", "b", "c", "d"]);
    expect(streams.map(({ request }) => request.url)).toEqual(["/stream?1", "/stream?2", "/stream?3"]);
    expect(complaints).toEqual([]);
  });

  test("asks the component that is mounted for its headers, not the renderings before", async () => {
    const { page, stream } = await open();
    await show(page, "fresh");
    const first = await stream(0);
    expect(first.request.headers["x-token"]).toBe("1");
    first.open("retry: 1\nid: 1\ndata: a\n\n");
    await shows(page, "fresh", ["a", 1]);
    await page.evaluate(() => tree.go("", false));
    await shows(page, "fresh", ["a", 2]);
    first.cut();
    expect((await stream(1)).request.headers["x-token"]).toBe("2");
  });

  test("leaves no connection behind where the tree is thrown away before its first event", async () => {
    const { page, stream, streams } = await open();
    await show(page, "quote");
    const { open: answer, gone } = await stream(0);
    answer();
    await shows(page, "fallback", "waiting");
    await show(page);
    await gone;
    await show(page, "quote");
    (await stream(1)).open("data: a\n\n");
    await shows(page, "quote", ["a", "open"]);
    expect(streams).toHaveLength(2);
  });

  test("keeps its connection for as long as it waits", async () => {
    const { page, stream, streams } = await open();
    await show(page, "quote");
    const { open: answer, response } = await stream(0);
    answer();
    // Longer than a tree that is thrown away is waited for: timers of a page end in order.
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 6500)));
    response.write("data: a\n\n");
    await shows(page, "quote", ["a", "open"]);
    expect(streams).toHaveLength(1);
  });

  test("keeps its events for as long as others hold up the transition", async () => {
    const { page, stream, streams } = await open();
    await show(page, "route");
    (await stream(0)).open("data: a\n\n");
    await shows(page, "quote", ["a", "open"]);
    await page.evaluate(() => {
      tree.held = new Promise((resolve) => {
        tree.release = () => {
          tree.held = undefined;
          resolve();
        };
      });
      tree.go("/stream?2", true);
    });
    const { open: answer, response } = await stream(1);
    answer("data: b\n\n");
    await expect.poll(() => read(page, "shown")).toContain("b");
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 6500)));
    response.write("data: c\n\n");
    await page.evaluate(() => tree.release());
    await shows(page, "quote", ["bc", "open"]);
    expect(await read(page, "seen")).toEqual(["a", "b", "c"]);
    expect(streams).toHaveLength(2);
  });

  test("leaves what the server has rendered as it is until there is an event", async () => {
    const { page, stream, complaints } = await open({
      html: '<!--$--><p id="quote">[null,&quot;idle&quot;]</p><!--/$-->',
    });
    await page.evaluate(() => tree.hydrate("quote"));
    const { open: answer, response } = await stream(0);
    answer();
    await shows(page, "quote", [null, "open"]);
    response.write("data: a\n\n");
    await shows(page, "quote", ["a", "open"]);
    expect(complaints).toEqual([]);
  });

  test("below a provider waits like anywhere", async () => {
    const { page, stream, streams } = await open();
    await show(page, "suspended");
    (await stream(0)).open("data: a\n\n");
    await shows(page, "quote", ["a", "open"]);
    await show(page);
    await (await stream(0)).gone;
    expect(streams).toHaveLength(1);
  });

  test("says what to do where the provider would be thrown away with what it holds", async () => {
    const { page, streams, complaints } = await open();
    await show(page, "stuck");
    await expect.poll(() => complaints.join()).toContain("put the provider above <Suspense>");
    expect(streams).toHaveLength(0);
  });
});

describe("the code for Suspense", () => {
  test("is loaded when the first component asks for it, which shows an error where it can't be", async () => {
    const files = await bundleSplit("suspense.ts");
    const [entry = ""] = files.values();
    const loaded = await openPage(browser, entry, { files });
    const requested: string[] = [];
    loaded.page.on("request", (request) => requested.push(new URL(request.url()).pathname));
    await show(loaded.page, "provided");
    (await loaded.stream(0)).open();
    expect(requested.filter((path) => path.endsWith(".js"))).toEqual([]);
    await show(loaded.page, "quote");
    (await loaded.stream(1)).open("data: a\n\n");
    await shows(loaded.page, "quote", ["a", "open"]);
    expect(requested.filter((path) => path.endsWith(".js"))).toHaveLength(1);

    const without = await openPage(browser, entry);
    await show(without.page, "quote");
    await shows(without.page, "error", [null, null]);
    expect(without.streams).toHaveLength(0);
  });
});

describe.each([19, 18] as const)("React %i: EverstreamProvider", (version) => {
  beforeAll(async () => {
    script = await bundle("suspense.ts", version);
  });

  test("gives defaults to streams and runs, and the latest of its functions", async () => {
    const { page, url, stream, streams, complaints } = await open();
    await page.evaluate((baseUrl) => {
      tree.provided = {
        baseUrl: `${baseUrl}stream/`,
        headers: () => ({ "x-own": "default", "X-Token": "1" }),
      };
    }, url);
    await show(page, "provided");
    const first = await stream(0);
    expect(first.request.url).toBe("/stream/stream");
    expect(first.request.headers).toMatchObject({ "x-own": "own", "x-token": "1" });
    first.open("retry: 1\nid: 1\ndata: a\n\n");
    await shows(page, "plain", ["a", "open"]);
    await page.evaluate(() => {
      tree.provided = { ...tree.provided, headers: async () => ({ "x-token": "2" }) };
    });
    await show(page, "provided");
    first.cut();
    const second = await stream(1);
    expect(second.request.headers).toMatchObject({ "x-own": "own", "x-token": "2", "last-event-id": "1" });
    await page.evaluate(() => tree.start());
    const run = await stream(2);
    expect(run.request.url).toBe("/stream/stream/runs/a");
    expect(run.request.headers).toMatchObject({
      "x-own": "own",
      "x-token": "2",
      "content-type": "application/json",
    });
    expect(streams).toHaveLength(3);
    expect(complaints).toEqual([]);
  });

  test("compares its defaults by value: other ones are other streams, equal ones are not", async () => {
    const { page, stream, streams } = await open();
    const provide = (token: string) =>
      page.evaluate((value) => {
        tree.provided = { headers: { "x-token": value } };
      }, token);
    await provide("1");
    await show(page, "provided");
    const first = await stream(0);
    first.open("data: a\n\n");
    await shows(page, "plain", ["a", "open"]);
    await provide("1");
    await show(page, "provided");
    first.response.write("data: b\n\n");
    await shows(page, "plain", ["ab", "open"]);
    await provide("2");
    await show(page, "provided");
    await first.gone;
    const second = await stream(1);
    expect(second.request.headers).toMatchObject({ "x-own": "own", "x-token": "2" });
    await shows(page, "plain", ["", "connecting"]);
    expect(streams).toHaveLength(2);
  });

  test("passes its defaults on to a provider within", async () => {
    const { page, stream } = await open();
    await page.evaluate(() => {
      tree.provided = { headers: { "x-outer": "outer", "x-inner": "outer" } };
    });
    await show(page, "nested");
    const { request } = await stream(0);
    expect(request.headers).toMatchObject({ "x-outer": "outer", "x-inner": "inner", "x-own": "own" });
  });

  test("gives the functions of the commit in which a component is mounted, through a provider within", async () => {
    const { page, stream } = await open();
    await show(page, "login");
    await expect.poll(() => page.evaluate(() => tree.go.length)).toBe(1);
    await page.evaluate(() => tree.go("secret", false));
    const requests = [await stream(0), await stream(1)].map(({ request }) => request);
    expect(requests.map(({ url }) => url).sort()).toEqual(["/stream", "/stream/runs/a"]);
    expect(requests.map(({ headers }) => headers["x-token"])).toEqual(["secret", "secret"]);
  });

  test("gives its fetch to streams, and none of them to components outside", async () => {
    const { page, stream, streams } = await open();
    await page.evaluate(() => {
      tree.provided = {
        linger: 0,
        // Made once, for as long as the test lasts.
        minDelay: 1e6,
        fetch: async () =>
          new Response("data: made here\n\n", { headers: { "content-type": "text/event-stream" } }),
      };
    });
    await show(page, "provided", "quote");
    await shows(page, "plain", ["made here", "waiting"]);
    (await stream(0)).open("data: a\n\n");
    await shows(page, "quote", ["a", "open"]);
    expect(streams).toHaveLength(1);
  });

  test("has streams of its own", async () => {
    const { page, stream, streams } = await open();
    await show(page, "isolated");
    await Promise.all([stream(0), stream(1)]);
    await show(page);
    await Promise.all(streams.map(({ gone }) => gone));
    expect(streams).toHaveLength(2);
  });
});
