// The client in Chromium against a server that misbehaves by script.

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type Fault, faultServer } from "../../src/testing/index.ts";
import { launchChromium } from "./chromium.ts";
import { bundle, openPage } from "./page-server.ts";
import type {} from "./pages/client.ts";

let browser: Browser;
let script: string;

beforeAll(async () => {
  [browser, script] = await Promise.all([launchChromium(), bundle("client.ts")]);
});
afterAll(() => browser.close());

const ONE = "id: 1\ndata: 🙂\n\n";
const BOTH = `${ONE}id: 2\ndata: two\n\n`;
const REST: Fault = { body: "id: 2\ndata: two\n\n", ending: "stall" };
const WHOLE: Fault = { body: BOTH, ending: "stall" };

describe("a stream gets everything in spite of", () => {
  test.each<[name: string, faults: [Fault, ...Fault[]]]>([
    [
      "a reset in the middle of a character",
      [{ body: ONE, bytes: ONE.indexOf("🙂") + 2, ending: "reset" }, WHOLE],
    ],
    ["a stall", [{ body: `: everstream heartbeat=10\n\n${ONE}`, ending: "stall" }, REST]],
    ["a good end", [{ body: ONE }, REST]],
    ["500, then 200", [{ status: 500 }, WHOLE]],
    ["Retry-After", [{ body: ONE }, { status: 503, headers: { "Retry-After": "0" } }, REST]],
    ["slow headers", [{ delay: 30, body: BOTH, ending: "stall" }]],
    ["no answer", [{ delay: Number.POSITIVE_INFINITY }, WHOLE]],
  ])("%s", async (_, faults) => {
    const server = await faultServer(faults);
    onTestFinished(() => server.close());
    const { page } = await openPage(browser, script);
    const seen = await page.evaluate(async (url) => {
      const stream = client.openEventStream(url, { minDelay: 1, maxDelay: 5, connectTimeout: 1000 });
      const data: string[] = [];
      for await (const event of stream) if (data.push(event.data) === 2) break;
      return data;
    }, server.url);
    expect(seen).toEqual(["🙂", "two"]);
    expect(server.requests).toHaveLength(faults.length);
  });
});

describe("a stream is not fooled by", () => {
  test.each<[name: string, fault: Fault, code: string]>([
    ["another type", { headers: { "Content-Type": "text/html" }, body: "<p>" }, "CONTENT_TYPE"],
    ["a refusal", { status: 403, body: "no" }, "HTTP_STATUS"],
    ["a loop of redirects", { status: 302, headers: { Location: "/" } }, "NETWORK"],
  ])("%s", async (_, fault, code) => {
    const server = await faultServer([fault]);
    onTestFinished(() => server.close());
    const { page } = await openPage(browser, script);
    const failure = page.evaluate(async (url) => {
      const loop = client
        .openEventStream(url, { minDelay: 1, maxDelay: 5, maxRetries: 1 })
        [Symbol.asyncIterator]();
      return loop.next().then(
        () => "none",
        (error: { code: string }) => error.code,
      );
    }, server.url);
    expect(await failure).toBe(code);
  });
});
