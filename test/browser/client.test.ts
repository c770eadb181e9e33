// The client in a real browser, over connections that the tests write by hand.
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { programPath } from "../setup/programs.ts";
import { launchChromium } from "./chromium.ts";
import { bundle, openPage, type PageOptions, type StreamPage } from "./page-server.ts";
import type {} from "./pages/client.ts";

let browser: Browser;
let script: string;

beforeAll(async () => {
  [browser, script] = await Promise.all([launchChromium(), bundle("client.ts")]);
});
afterAll(() => browser.close());

async function open(options?: PageOptions): Promise<StreamPage> {
  return openPage(browser, script, options);
}

/** Begins to take the page's stream. */
async function listen(page: Page): Promise<void> {
  await page.evaluate(() => {
    client.stream.onStatus(({ state }) => client.states.push(state));
    client.stream.onEvent((event) => client.events.push(event));
  });
}

function data(page: Page): Promise<string[]> {
  return page.evaluate(() => client.events.map((event) => event.data));
}

function state(page: Page): Promise<string> {
  return page.evaluate(() => client.stream.status.state);
}

describe("openEventStream", () => {
  test("resumes with its cursor after a cut in the middle of a character, and loses nothing", async () => {
    const { page, stream } = await open();
    await listen(page);
    const bytes = Buffer.from("id: …é🙂\ndata: 🙂\n\nid: 2\ndata: 🙂\n\n");
    const first = await stream(0);
    expect(first.request.headers.accept).toBe("text/event-stream");
    first.open();
    first.response.write(bytes.subarray(0, bytes.lastIndexOf(0xf0) + 2));
    await expect.poll(() => data(page)).toEqual(["🙂"]);
    first.cut();
    const second = await stream(1);
    expect(Buffer.from(second.request.headers["last-event-id"] as string, "latin1").toString()).toBe("…é🙂");
    second.open("id: 2\ndata: 🙂\n\n");
    await expect.poll(() => data(page)).toEqual(["🙂", "🙂"]);
    await page.evaluate(() => client.stream.close());
    await second.gone;
  });

  test.each(["HTTP/1.1 200", "HTTP/1.1 200 OK\r\nCache-Con", "HTTP/1.1 200 OK\r\nContent-Type: text/ev"])(
    "comes back where the connection ends within the answer's head, after '%s'",
    async (head) => {
      const { page, stream } = await open();
      await listen(page);
      (await stream(0)).response.socket?.end(head);
      (await stream(1)).open("data: back\n\n");
      await expect.poll(() => data(page)).toEqual(["back"]);
    },
  );

  test("a loop that is left closes the connection", async () => {
    const { page, stream } = await open();
    const loop = page.evaluate(async () => {
      for await (const { data } of client.stream) return data;
      return "over";
    });
    const { open: answer, gone } = await stream(0);
    answer("data: first\n\ndata: second\n\n");
    expect(await loop).toBe("first");
    await gone;
  });

  test("wakes when the network is back, however long the wait was to be", async () => {
    const { page, stream } = await open();
    await page.evaluate(() => {
      client.stream = client.openEventStream("/stream", { minDelay: 1e6, maxDelay: 1e6 });
    });
    await listen(page);
    (await stream(0)).response.writeHead(503).end();
    await expect.poll(() => state(page)).toBe("waiting");
    await page.context().setOffline(true);
    await page.context().setOffline(false);
    (await stream(1)).open("data: back\n\n");
    await expect.poll(() => data(page)).toEqual(["back"]);
  });

  test("gives its connection up for the back/forward cache, and resumes when the page returns", async () => {
    const caching = await chromium.launch({
      executablePath: programPath("chromium"),
      args: ["--no-sandbox", "--disable-background-networking"],
      ignoreDefaultArgs: ["--disable-back-forward-cache"],
    });
    onTestFinished(() => caching.close());
    const { page, stream, url } = await openPage(caching, script);
    await listen(page);
    const first = await stream(0);
    first.open("id: 1\ndata: a\n\n");
    await expect.poll(() => data(page)).toEqual(["a"]);
    await page.goto(`${url}elsewhere`);
    await first.gone;
    await page.goBack({ waitUntil: "commit" });
    const second = await stream(1);
    expect(second.request.headers["last-event-id"]).toBe("1");
    second.open("id: 2\ndata: b\n\n");
    // The same page as before, not one that was loaded again.
    await expect.poll(() => data(page)).toEqual(["a", "b"]);
    expect(await page.evaluate(() => client.states)).toContain("paused");
  });

  test("works in a worker", async () => {
    const { page, stream } = await open();
    const message = page.evaluate(
      () =>
        new Promise((resolve) => {
          const worker = new Worker("/page.js", { type: "module" });
          worker.onmessage = (event) => resolve(event.data);
        }),
    );
    (await stream(0)).open("data: from the worker\n\n");
    expect(await message).toBe("from the worker");
  });
});

describe("createEventStream", () => {
  test("gives tokens and the whole text", async () => {
    const { page, stream } = await open();
    const text = page.evaluate(
      () =>
        new Promise((resolve, reject) => {
          const tokens: string[] = [];
          const stream = client.createEventStream("/stream?message=hi");
          stream.onToken((content) => tokens.push(content));
          stream.onDone((full) => resolve([...tokens, full]));
          stream.onError(reject);
        }),
    );
    (await stream(0)).open(
      'event: token\ndata: {"content":"Hel"}\n\nevent: token\ndata: {"content":"lo"}\n\nevent: done\ndata:\n\n',
    );
    expect(await text).toEqual(["Hel", "lo", "Hello"]);
  });

  test("does not ask again when the connection is lost", async () => {
    const { page, stream, streams } = await open();
    const code = page.evaluate(
      () =>
        new Promise((resolve) => {
          const stream = client.createEventStream("/stream?message=hi");
          stream.onError((error) => resolve((error as { code?: unknown }).code));
        }),
    );
    const first = await stream(0);
    first.open('event: token\ndata: {"content":"Hel"}\n\n');
    first.cut();
    expect(await code).toBe("NOT_RESUMABLE");
    expect(streams).toHaveLength(1);
  });
});
