// The seed's client samples in a real browser, against its server samples: as they stand, and with the package in their place.
import { getRequestListener } from "@hono/node-server";
import { closeStreams } from "everstream";
import { Hono } from "hono";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { model } from "../seed/model.ts";
import { app as basic } from "../seed/samples/basic.ts";
import { app as chat } from "../seed/samples/chat.ts";
import { launchChromium } from "./chromium.ts";
import { bundle, openPage, type StreamPage } from "./page-server.ts";
import type {} from "./pages/seed.ts";

vi.mock("@langchain/openai", () => import("../seed/model.ts"));

let browser: Browser;
let script: string;

beforeAll(async () => {
  browser = await launchChromium();
  script = await bundle("seed.ts");
});
afterAll(() => browser.close());

/** A page whose streams the server samples answer, where the client samples ask for them. */
function open(): Promise<StreamPage> {
  const app = new Hono().route("/api", chat).route("/stream", basic);
  const listen = getRequestListener((request, env) => app.fetch(request, env));
  return openPage(browser, script, {
    paths: /^\/(api|stream)\//,
    answer: ({ request, response }) => void listen(request, response),
  });
}

describe.each(["sample", "package"] as const)("the token client by the %s", (by) => {
  test("shows each token, then the whole, and asks once", async () => {
    model.stream = async function* (message) {
      for (const content of ["You ", "", "said ", message]) yield { content };
    };
    const { page, streams } = await open();
    await page.evaluate((which) => seed.ask(which), by);
    await expect
      .poll(() => page.evaluate(() => seed.lines))
      .toEqual([["log", "Complete:", "You said Hello"]]);
    expect(await page.evaluate(() => seed.updates)).toEqual(["You ", "said ", "Hello"]);
    expect(streams.map(({ request }) => request.url)).toEqual(["/api/chat/stream?message=Hello"]);
  });

  test("is told of a model that fails, and does not ask again", async () => {
    model.stream = async function* () {
      yield { content: "so far" };
      throw new Error("rate limited");
    };
    const { page, streams } = await open();
    await page.evaluate((which) => seed.ask(which), by);
    // The sample does not look at what the server has said.
    const message = by === "sample" ? "Stream error" : "rate limited";
    await expect.poll(() => page.evaluate(() => seed.lines)).toEqual([["error", message]]);
    expect(await page.evaluate(() => seed.updates)).toEqual(["so far"]);
    expect(streams).toHaveLength(1);
  });
});

test("the hook shows the clock by both; only the package's comes back after a restart", async () => {
  const { page, complaints } = await open();
  await page.evaluate(() => seed.showClocks());
  const shown = async (id: string): Promise<unknown> =>
    JSON.parse((await page.locator(`#${id}`).textContent()) ?? "null");
  const ticking = { time: expect.any(Number), isConnected: true };
  for (const id of ["sample", "package"]) await expect.poll(() => shown(id)).toEqual(ticking);
  const { time } = (await shown("package")) as { time: number };
  await closeStreams();
  const lost = { time: expect.any(Number), error: "SSE connection error", isConnected: false };
  await expect.poll(() => shown("sample")).toEqual(lost);
  await expect.poll(async () => ((await shown("package")) as { time: number }).time).toBeGreaterThan(time);
  await expect.poll(() => shown("package")).toEqual(ticking);
  expect(await shown("sample")).toEqual(lost);
  expect(complaints).toEqual([]);
});
