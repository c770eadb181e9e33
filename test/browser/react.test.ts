// The hooks in a real browser, with either React's StrictMode on, over connections that the tests write by hand.
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { launchChromium } from "./chromium.ts";
import { bundle, openPage, type PageOptions, type StreamPage } from "./page-server.ts";
import type {} from "./pages/react.ts";

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
  await page.evaluate((all) => app.show(...all), names);
}

/** Waits until the element shows that value as JSON. */
async function shows(page: Page, id: string, value: unknown): Promise<void> {
  await expect.poll(() => page.locator(`#${id}`).textContent()).toBe(JSON.stringify(value));
}

/** What the burst's callbacks were given. */
function given(page: Page, name: "reduced" | "seen"): Promise<string[]> {
  return page.evaluate((key) => app[key], name);
}

describe.each([19, 18] as const)("React %i", (version) => {
  beforeAll(async () => {
    script = await bundle("react.ts", version);
  });

  test("is the one that runs", async () => {
    const { page } = await open();
    expect(await page.evaluate(() => app.reactVersion)).toMatch(new RegExp(`^${version}\\.`));
  });

  describe("useSSE", () => {
    test("shows the last message over one connection, survives bad JSON, and closes when unmounted", async () => {
      const { page, stream, streams, complaints } = await open();
      await show(page, "clock", "idle");
      const nothing = { data: null, error: null, isConnected: false };
      await shows(page, "idle", [nothing, nothing]);
      await shows(page, "clock", { data: null, error: null, isConnected: false });
      const { open: answer, response, gone } = await stream(0);
      answer();
      await shows(page, "clock", { data: null, error: null, isConnected: true });
      response.write('data: {"n":1}\n\nevent: other\ndata: {"n":2}\n\n');
      await shows(page, "clock", { data: { n: 1 }, error: null, isConnected: true });
      response.write("data: {n:\n\n");
      await shows(page, "clock", { data: { n: 1 }, error: "Failed to parse SSE data", isConnected: true });
      response.write("data: 3\n\n");
      await shows(page, "clock", { data: 3, error: null, isConnected: true });
      await shows(page, "idle", [nothing, nothing]);
      await show(page);
      await gone;
      expect(streams).toHaveLength(1);
      expect(complaints).toEqual([]);
    });

    test("says when the connection is lost, and comes back without a hole", async () => {
      const { page, stream } = await open();
      await show(page, "clock");
      const first = await stream(0);
      first.open('retry: 1000\nid: 7\ndata: "before"\n\n');
      await shows(page, "clock", { data: "before", error: null, isConnected: true });
      first.cut();
      await shows(page, "clock", { data: "before", error: "SSE connection error", isConnected: false });
      const second = await stream(1);
      expect(second.request.headers["last-event-id"]).toBe("7");
      second.open('data: "after"\n\n');
      await shows(page, "clock", { data: "after", error: null, isConnected: true });
    });

    test("several components share one connection; one that comes later shows what the others show", async () => {
      const { page, stream, streams } = await open();
      await show(page, "clock");
      const { open: answer, gone, response } = await stream(0);
      answer("data: 1\n\n");
      await shows(page, "clock", { data: 1, error: null, isConnected: true });
      await show(page, "clock", "other", "status");
      await shows(page, "other", { data: 1, error: null, isConnected: true });
      await shows(page, "status", "open");
      await show(page, "other");
      response.write("data: 2\n\n");
      await shows(page, "other", { data: 2, error: null, isConnected: true });
      // Another place, the same stream: a change of route.
      await show(page, "clock");
      await shows(page, "clock", { data: 2, error: null, isConnected: true });
      expect(streams).toHaveLength(1);
      await show(page);
      await gone;
      expect(streams).toHaveLength(1);
    });

    test("begins anew with another URL, and has nothing without one", async () => {
      const { page, stream, streams, complaints } = await open();
      await show(page, "route");
      const first = await stream(0);
      first.open("data: 1\n\n");
      const button = page.locator("#route");
      await expect.poll(() => button.textContent()).toBe("1 true");
      await button.click();
      expect(await button.textContent()).toBe("null false");
      await first.gone;
      const second = await stream(1);
      expect(second.request.url).toBe("/stream?route=2");
      second.open("data: 2\n\n");
      await expect.poll(() => button.textContent()).toBe("2 true");
      await button.click();
      expect(await button.textContent()).toBe("null false");
      await second.gone;
      expect(streams).toHaveLength(2);
      expect(complaints).toEqual([]);
    });

    test("says that a request was refused, and leaves it at that until another component asks", async () => {
      const { page, streams } = await open({ answer: ({ response }) => response.writeHead(403).end() });
      await show(page, "clock");
      await shows(page, "clock", { data: null, error: "SSE connection error", isConnected: false });
      expect(streams).toHaveLength(1);
      await show(page, "clock", "status");
      await shows(page, "status", "failed");
      expect(streams).toHaveLength(2);
    });

    test("leaves it at one connection where it is not to reconnect", async () => {
      const { page, stream, streams } = await open();
      await show(page, "once");
      const { open: answer, cut } = await stream(0);
      answer("retry: 1\nid: 1\ndata: 1\n\n");
      await shows(page, "once", { data: 1, isConnected: true });
      cut();
      await shows(page, "once", { data: 1, isConnected: false });
      // Another component is a request of its own, and comes after any attempt that would have been made at once.
      await show(page, "once", "clock");
      (await stream(1)).open("data: 2\n\n");
      await shows(page, "clock", { data: 2, error: null, isConnected: true });
      await shows(page, "once", { data: 1, isConnected: false });
      expect(streams).toHaveLength(2);
    });

    test("takes up what the server rendered, without a mismatch", async () => {
      const html =
        '<p id="clock">{&quot;data&quot;:null,&quot;error&quot;:null,&quot;isConnected&quot;:false}</p>';
      const { page, stream, complaints } = await open({ html });
      await page.evaluate(() => app.hydrate("clock"));
      (await stream(0)).open("data: 1\n\n");
      await shows(page, "clock", { data: 1, error: null, isConnected: true });
      expect(complaints).toEqual([]);
    });
  });

  describe("useEventStream", () => {
    test("goes on where the server's rendering ends, once", async () => {
      const html = '<p id="continued">&quot;from the server, &quot;</p>';
      const { page, stream, streams, complaints } = await open({ html });
      await page.evaluate(() => app.hydrate("continued"));
      const first = await stream(0);
      expect(first.request.headers["last-event-id"]).toBe("7");
      first.open("id: 8\ndata: then here\n\n");
      await shows(page, "continued", "from the server, then here");
      expect(streams).toHaveLength(1);
      expect(complaints).toEqual([]);
    });

    test("takes every event of a burst once and in order, and renders once a frame at most", async () => {
      const { page, stream, complaints } = await open();
      await show(page, "burst");
      const { open: answer, response } = await stream(0);
      answer();
      await shows(page, "burst", 0);
      const before = await page.evaluate(() => ({ commits: app.commits, frames: app.frames }));
      const expected: string[] = [];
      for (let batch = 0; batch < 20; batch++) {
        let text = "";
        for (let n = 0; n < 1000; n++) {
          expected.push(`${batch}.${n}`);
          text += `data: ${batch}.${n}\n\n`;
        }
        response.write(text);
        // Spread over frames of the page.
        await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
      }
      await shows(page, "burst", 20_000);
      expect(await given(page, "reduced")).toEqual(expected);
      expect(await given(page, "seen")).toEqual(expected);
      const after = await page.evaluate(() => ({ commits: app.commits, frames: app.frames }));
      expect(after.commits - before.commits).toBeGreaterThan(0);
      expect(after.commits - before.commits).toBeLessThanOrEqual(after.frames - before.frames + 1);
      expect(complaints).toEqual([]);
    });

    test("draws by timer where no frames are drawn", async () => {
      const { page, stream } = await open();
      await page.evaluate(() => {
        globalThis.requestAnimationFrame = () => 0;
      });
      await show(page, "burst");
      (await stream(0)).open("data: 1\n\ndata: 2\n\n");
      await shows(page, "burst", 2);
    });

    test("does not reconnect for options that are written in place, and uses the latest functions", async () => {
      const { page, stream, streams } = await open();
      await show(page, "inline");
      const { open: answer, request, response } = await stream(0);
      expect(request.headers["x-name"]).toBe("inline");
      answer();
      await shows(page, "inline", { data: [], round: 0, state: "open" });
      for (let round = 1; round <= 5; round++) {
        await page.evaluate(() => app.rerender());
        await shows(page, "inline", { data: [], round, state: "open" });
      }
      response.write("data: x\n\n");
      await shows(page, "inline", { data: ["x in round 5"], round: 5, state: "open" });
      expect(streams).toHaveLength(1);
    });

    test("shows everything before it says that the stream is over", async () => {
      const { page, stream } = await open();
      await show(page, "inline");
      (await stream(0)).open("retry: 1\nid: 1\ndata: a\n\ndata: b\n\n");
      (await stream(0)).response.end();
      (await stream(1)).response.writeHead(204).end();
      await shows(page, "inline", { data: ["a in round 0", "b in round 0"], round: 0, state: "closed" });
    });

    test("gives its stream back while it is disabled, and goes on from where it was", async () => {
      const { page, stream } = await open();
      await show(page, "switch");
      const first = await stream(0);
      first.open("id: 1\ndata: a\n\n");
      const button = page.locator("#switch");
      await expect.poll(() => button.textContent()).toBe("a open");
      await button.click();
      expect(await button.textContent()).toBe("a idle");
      await first.gone;
      await button.click();
      const second = await stream(1);
      expect(second.request.headers["last-event-id"]).toBe("1");
      second.open("id: 2\ndata: b\n\n");
      await expect.poll(() => button.textContent()).toBe("ab open");
    });

    test("misses nothing while it is disabled and another component keeps the stream open", async () => {
      const { page, stream, streams } = await open();
      await show(page, "switch", "clock");
      const first = await stream(0);
      first.open("id: 1\ndata: 1\n\n");
      const button = page.locator("#switch");
      await expect.poll(() => button.textContent()).toBe("1 open");
      await button.click();
      // The stream is held for 250 ms more. A page's timers end in order, so that this one ends after that.
      await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 300)));
      first.response.write("id: 2\ndata: 2\n\n");
      await shows(page, "clock", { data: 2, error: null, isConnected: true });
      await button.click();
      const second = await stream(1);
      expect(second.request.headers["last-event-id"]).toBe("1");
      second.open("id: 2\ndata: 2\n\n");
      await expect.poll(() => button.textContent()).toBe("12 open");
      expect(streams).toHaveLength(2);
    });

    test("opens one connection for equal requests, in whatever order they are written", async () => {
      const { page, stream, streams } = await open();
      await show(page, "orders");
      (await stream(0)).open();
      await shows(page, "orders", ["open", "open"]);
      expect(streams).toHaveLength(1);
    });

    test("reopens a stream that failed or ended, after the last event", async () => {
      const { page, stream, streams } = await open();
      await show(page, "reopen");
      (await stream(0)).response.writeHead(401).end();
      const button = page.locator("#reopen");
      await expect.poll(() => button.textContent()).toBe(" failed");
      await button.click();
      (await stream(1)).open("id: 1\ndata: a\n\n");
      await expect.poll(() => button.textContent()).toBe("a open");
      await button.click();
      (await stream(1)).response.end("id: 2\nevent: sse:end\ndata: {}\n\n");
      await expect.poll(() => button.textContent()).toBe("a closed");
      await button.click();
      const third = await stream(2);
      expect(third.request.headers["last-event-id"]).toBe("2");
      third.open("id: 3\ndata: b\n\n");
      await expect.poll(() => button.textContent()).toBe("ab open");
      expect(streams).toHaveLength(3);
    });

    test("renders for what it selects alone", async () => {
      const { page, stream } = await open();
      await show(page, "selected", "burst");
      const { open: answer, response } = await stream(0);
      answer();
      await shows(page, "selected", { tens: 0, state: "open" });
      const before = await page.evaluate(() => app.selectedCommits);
      for (let n = 1; n <= 20; n++) {
        response.write("data: x\n\n");
        // One at a time, so that each could be rendered.
        await shows(page, "burst", n);
      }
      await shows(page, "selected", { tens: 2, state: "open" });
      expect((await page.evaluate(() => app.selectedCommits)) - before).toBe(2);
    });
  });

  describe("useEventStreamEvent", () => {
    test("calls the latest listener with each event, shares the stream, and renders nothing", async () => {
      const { page, stream, streams, complaints } = await open();
      await show(page, "listener", "burst");
      const { open: answer, response, gone } = await stream(0);
      answer("event: tick\ndata: 1\n\n");
      await shows(page, "burst", 1);
      const before = await page.evaluate(() => app.listenerCommits);
      response.write("data: 2\n\n");
      await shows(page, "burst", 2);
      expect(await page.evaluate(() => app.listenerCommits)).toBe(before);
      await page.evaluate(() => app.rerender());
      await shows(page, "listener", 1);
      response.write("event: tick\ndata: 3\n\n");
      await shows(page, "burst", 3);
      expect(await page.evaluate(() => app.heard)).toEqual([
        "all tick 1 0",
        "tick 1 0",
        "all message 2 0",
        "all tick 3 1",
        "tick 3 1",
      ]);
      await show(page);
      await gone;
      expect(streams).toHaveLength(1);
      expect(complaints).toEqual([]);
    });

    test("calls none with events of the request before, although its stream lasts a moment longer", async () => {
      const { page, stream } = await open();
      await show(page, "room");
      const first = await stream(0);
      first.open("data: a\n\n");
      await expect.poll(() => page.evaluate(() => app.heard)).toEqual(["a by room in 1"]);
      await page.locator("#room").click();
      first.response.write("data: b\n\n");
      (await stream(1)).open("data: c\n\n");
      await first.gone;
      await expect.poll(() => page.evaluate(() => app.heard)).toEqual(["a by room in 1", "c by room in 2"]);
    });

    test("calls none of a component that has left, while another one takes its place", async () => {
      const { page, stream, streams } = await open();
      await show(page, "room");
      const { open: answer, response } = await stream(0);
      answer("data: a\n\n");
      await expect.poll(() => page.evaluate(() => app.heard)).toEqual(["a by room in 1"]);
      await show(page, "elsewhere");
      await page.locator("#elsewhere").waitFor();
      response.write("data: b\n\n");
      await expect.poll(() => page.evaluate(() => app.heard)).toContain("b by elsewhere in 1");
      expect(await page.evaluate(() => app.heard)).toEqual(["a by room in 1", "b by elsewhere in 1"]);
      expect(streams).toHaveLength(1);
    });
  });
});
