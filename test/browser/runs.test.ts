import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContext, Locator, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { DocsAssistant } from "../../demo/server/chat/docs-assistant.ts";
import { type BuiltApp, startBuiltApp } from "./built-app.ts";
import { launchChromium } from "./chromium.ts";
import { type CutProxy, startCutProxy } from "./cut-proxy.ts";

const QUESTION = "How does a client resume after a lost connection?";
const BEGINNING = "I am the built-in docs assistant";
/** Long enough for several attempts to fail. */
const OFFLINE_MS = 10_000;

let browser: Browser;
let dataDir: string;
let app: BuiltApp;
let proxy: CutProxy;
let context: BrowserContext;
let page: Page;
/** What the page shows when the whole answer is there, without its marks. */
let whole: string;

beforeAll(async () => {
  browser = await launchChromium();
  whole = bare((await new DocsAssistant().invoke(QUESTION)).text);
});
afterAll(() => browser.close());

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "everstream-runs-"));
  app = await startBuiltApp(dataDir);
  proxy = await startCutProxy(app.port);
  context = await browser.newContext();
  page = await openPage();
});
afterEach(async () => {
  await context.close();
  await proxy.close();
  await app.stop();
  await rm(dataDir, { recursive: true, force: true });
});

async function openPage(): Promise<Page> {
  const opened = await context.newPage();
  await opened.goto(`http://127.0.0.1:${proxy.port}`);
  return opened;
}

const panel = (name: string, on = page): Locator => on.getByRole("region", { name, exact: true });
const answer = (on = page): Locator => panel("Chat", on).locator(".answer").last();
const foot = (on = page): Locator => panel("Chat", on).locator(".exchange-foot").last();
const button = (name: string, on = page): Locator => panel("Chat", on).getByRole("button", { name });

/** Letters and digits alone: the page draws Markdown's marks. */
function bare(text: string): string {
  return text.replace(/^```.*$|\]\([^)]+\)/gm, "").replace(/\W/g, "");
}
const shown = async (on = page): Promise<string> => bare((await answer(on).textContent()) ?? "");

async function ask(): Promise<void> {
  await button(QUESTION).click();
  await untilSome();
}

/** In mid-answer: it has begun, and the button that stops it is there. */
async function untilSome(on = page): Promise<void> {
  await answer(on).getByText(BEGINNING).waitFor();
  await button("Stop", on).waitFor();
}

async function untilDone(on = page): Promise<void> {
  await foot(on).getByText("done", { exact: true }).waitFor();
}

describe("an answer", () => {
  test("goes on when its page is reloaded", async () => {
    await ask();
    await page.reload();
    await untilSome();
    await untilDone();
    expect(await shown()).toBe(whole);
    expect(await panel("Chat").locator(".exchange").count()).toBe(1);
  });

  test("is followed live by a second tab, which may stop it for both", async () => {
    await ask();
    const second = await openPage();
    await untilSome(second);
    const before = (await shown(second)).length;
    await expect.poll(async () => (await shown(second)).length).toBeGreaterThan(before);
    await button("Stop", second).click();
    for (const tab of [page, second]) await foot(tab).getByText("stopped").waitFor();
    expect(await shown()).toBe(await shown(second));
    expect(whole.startsWith(await shown())).toBe(true);
    expect((await shown()).length).toBeLessThan(whole.length);
  });

  test("asked for in one tab appears in the other, as does the one that takes its place", async () => {
    const second = await openPage();
    await ask();
    await untilSome(second);
    await button("Stop").click();
    await button("Regenerate", second).click();
    for (const tab of [page, second]) {
      await untilDone(tab);
      expect(await shown(tab)).toBe(whole);
      expect(await panel("Chat", tab).locator(".exchange").count()).toBe(1);
    }
  });

  test("is made while its reader is offline, and is whole afterwards", async () => {
    await ask();
    proxy.cut();
    await context.setOffline(true);
    await foot().getByText("connection lost, reconnecting").waitFor();
    const before = await shown();
    await new Promise((resolve) => setTimeout(resolve, OFFLINE_MS));
    expect(await shown()).toBe(before);
    proxy.mend();
    await context.setOffline(false);
    await untilDone();
    expect(await shown()).toBe(whole);
  });

  test.each(["SIGTERM", "SIGKILL"] as const)(
    "cut off by %s says so, and goes on when asked to",
    async (signal) => {
      await ask();
      await app.stop(signal);
      app = await startBuiltApp(dataDir, app.port);
      await panel("Chat").getByRole("alert").getByText("The server was restarted").waitFor();
      const half = await shown();
      expect(half.length).toBeLessThan(whole.length);
      await button("Go on").click();
      await untilDone();
      expect(await shown()).toBe(whole);
    },
  );

  test("that goes on is shown at once, also while the page has not found back to its conversation", async () => {
    await ask();
    await app.stop("SIGKILL");
    app = await startBuiltApp(dataDir, app.port);
    await button("Go on").waitFor();
    // Only the answers get through.
    await page.route("**/api/chat/*", (route) => route.abort());
    await button("Go on").click();
    await untilDone();
    expect(await shown()).toBe(whole);
    expect(await panel("Chat").locator(".exchange").count()).toBe(1);
    await page.unroute("**/api/chat/*");
    await page.reload();
    await untilDone();
    expect(await panel("Chat").locator(".exchange").count()).toBe(1);
  });

  test("that can't be stopped, or asked for, is said, and nothing is to be typed again", async () => {
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(String(error)));
    await ask();
    proxy.cut();
    await button("Stop").click();
    const alert = panel("Chat").getByRole("alert");
    await alert.getByText("It could not be stopped").waitFor();
    const field = panel("Chat").getByRole("textbox");
    await field.fill("asked too early");
    await page.keyboard.press("Enter");
    await alert.getByText("The server can't be reached.").waitFor();
    await expect.poll(() => field.inputValue()).toBe("asked too early");
    proxy.mend();
    await alert.waitFor({ state: "detached" });
    await page.keyboard.press("Enter");
    await panel("Chat").locator(".question").getByText("asked too early").waitFor();
    expect(await field.inputValue()).toBe("");
    expect(errors).toEqual([]);
  });

  test("leaves whoever uses the keyboard where the next question is typed", async () => {
    const isAtField = (): Promise<boolean> =>
      panel("Chat")
        .getByRole("textbox")
        .evaluate((field) => field === document.activeElement);
    for (const name of [QUESTION, "Stop", "Regenerate", "Stop", "New conversation"]) {
      await button(name).focus();
      await page.keyboard.press("Enter");
      await expect.poll(isAtField).toBe(true);
      await page.evaluate(() => (document.activeElement as HTMLElement).blur());
    }
  });

  test("belongs to its conversation: a new one is empty, in every page that comes or is there", async () => {
    const second = await openPage();
    await ask();
    await untilSome(second);
    await button("Stop").click();
    await button("New conversation").click();
    await button(QUESTION).waitFor();
    await button(QUESTION, second).waitFor();
    await page.reload();
    await button(QUESTION).waitFor();
    expect(await panel("Chat").locator(".exchange").count()).toBe(0);
  });

  test("that the server refuses is refused in its words, also when the conversation's stream opens only then", async () => {
    const refusal = { status: 429, json: { error: "Too many questions.", code: "RATE" } };
    const refused = await context.newPage();
    await refused.route("**/api/runs/*", (route) =>
      route.request().method() === "POST" ? route.fulfill(refusal) : route.continue(),
    );
    let openStream = (): void => undefined;
    const isShown = new Promise<void>((resolve) => {
      openStream = resolve;
    });
    await refused.route("**/api/chat/*", (route) => isShown.then(() => route.continue()));
    await refused.goto(page.url());
    await button(QUESTION, refused).click();
    const alert = panel("Chat", refused).getByRole("alert").getByText("Too many questions.");
    await alert.waitFor();
    openStream();
    await ask();
    await untilSome(refused);
    expect(await alert.isVisible()).toBe(true);
  });
});

describe("an upload", () => {
  const bar = (): Locator => panel("Upload").getByRole("progressbar");
  /** Sends a file that can't be compressed, which takes some seconds. */
  const send = async (): Promise<void> => {
    const file = join(dataDir, "noise.bin");
    await writeFile(file, randomBytes(100 * 1024 * 1024));
    await panel("Upload").locator("input[type=file]").setInputFiles(file);
  };
  const step = (name: string): Locator => panel("Upload").locator("li[aria-current=step]", { hasText: name });

  test("is processed on when its page is reloaded", async () => {
    await send();
    await step("Optimizing").waitFor();
    const before = Number(await bar().getAttribute("value"));
    await page.reload();
    await panel("Upload").getByText("noise.bin", { exact: true }).waitFor();
    await expect.poll(async () => Number(await bar().getAttribute("value"))).toBeGreaterThanOrEqual(before);
    await panel("Upload").getByText("SHA-256").waitFor();
    const wire = await panel("Upload")
      .getByRole("list", { name: /events as they arrive/ })
      .textContent();
    expect(wire).toMatch(/^GET \/api\/runs\/upload-/);
  });

  test("that is cancelled before its work was joined is stopped on the server", async () => {
    let started: () => void = () => undefined;
    const isStarted = new Promise<void>((resolve) => {
      started = resolve;
    });
    let answer: () => void = () => undefined;
    const isCancelled = new Promise<void>((resolve) => {
      answer = resolve;
    });
    await page.route("**/api/upload/process", async (route) => {
      const response = await route.fetch();
      started();
      await isCancelled;
      await route.fulfill({ response }).catch(() => undefined);
    });
    await send();
    await isStarted;
    await panel("Upload").getByRole("button", { name: "Cancel" }).click();
    await panel("Upload").getByText("Cancelled.").waitFor();
    answer();
    const runs = panel("Runs");
    await runs.scrollIntoViewIfNeeded();
    await runs.getByText("stopped", { exact: true }).waitFor();
    await panel("Upload").getByText("Cancelled.").waitFor();
  });

  test("that is cancelled is stopped on the server", async () => {
    await send();
    await step("Optimizing").waitFor();
    await panel("Upload").getByRole("button", { name: "Cancel" }).click();
    const runs = panel("Runs");
    await runs.scrollIntoViewIfNeeded();
    await runs.getByText("stopped", { exact: true }).waitFor();
  });
});

test("the list of runs shows what is running, and what came of it", async () => {
  await ask();
  const work = panel("Runs").getByRole("list", { name: "Runs", exact: true }).getByRole("listitem");
  await panel("Runs").scrollIntoViewIfNeeded();
  await work.getByText("running").waitFor();
  await work.getByText("done").waitFor();
  expect(await work.count()).toBe(1);
});
