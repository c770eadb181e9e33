// Answers of the reference application, in Chromium: they go on, are found again and are stopped, whatever becomes of a page.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContext, Locator, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type BuiltApp, startBuiltApp } from "./built-app.ts";
import { launchChromium } from "./chromium.ts";
import { type CutProxy, startCutProxy } from "./cut-proxy.ts";
import { BEGINNING, type PlayedModel, playModel, WHOLE } from "./played-model.ts";

const QUESTION = "How does a client resume after a lost connection?";
/** A page that has tried for a while to find a server again waits for up to 30 s before it tries once more. */
const BACK_MS = 60_000;

let browser: Browser;
let dataDir: string;
let model: PlayedModel;
let app: BuiltApp;
let proxy: CutProxy;
let context: BrowserContext;
let page: Page;

beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "everstream-runs-"));
  model = await playModel();
  app = await startBuiltApp(dataDir, model.env);
  proxy = await startCutProxy(app.port);
  context = await browser.newContext();
  context.setDefaultTimeout(BACK_MS);
  page = await openPage();
});
afterEach(async () => {
  await context.close();
  await proxy.close();
  await app.stop();
  await model.close();
  await rm(dataDir, { recursive: true, force: true });
});

async function openPage(): Promise<Page> {
  const opened = await context.newPage();
  await opened.goto(`http://127.0.0.1:${proxy.port}`);
  return opened;
}

/** Ends the server, while words of an answer are on their way, and starts another one in its place. */
async function restart(signal: NodeJS.Signals): Promise<void> {
  model.reach(1 / 2);
  await app.stop(signal);
  app = await startBuiltApp(dataDir, model.env);
  proxy.leadTo(app.port);
}

const panel = (name: string, on = page): Locator => on.getByRole("region", { name, exact: true });
const answer = (on = page): Locator => panel("Chat", on).locator(".answer").last();
const foot = (on = page): Locator => panel("Chat", on).locator(".exchange-foot").last();
const button = (name: string, on = page): Locator => panel("Chat", on).getByRole("button", { name });
const shown = async (on = page): Promise<string> => (await answer(on).textContent()) ?? "";

async function ask(): Promise<void> {
  await button(QUESTION).click();
  await untilSome();
}

/** In mid-answer: it has begun, and the button that stops it is there. */
async function untilSome(on = page): Promise<void> {
  await answer(on).getByText(BEGINNING).waitFor();
  await button("Stop", on).waitFor();
}

/** Lets the answer come to its end, and waits until the page shows all of it, once. */
async function untilDone(on = page): Promise<void> {
  model.reach(1);
  await foot(on).getByText("done", { exact: true }).waitFor();
  expect(await shown(on)).toBe(WHOLE);
  expect(await panel("Chat", on).locator(".exchange").count()).toBe(1);
}

async function untilStopped(on = page): Promise<void> {
  await foot(on).getByText("stopped", { exact: true }).waitFor();
}

/** How the runs that the server knows have gone, asked past the proxy. */
async function statesOnServer(): Promise<string[]> {
  const headers = { accept: "application/json" };
  const response = await fetch(`http://127.0.0.1:${app.port}/api/runs`, { headers });
  const { events } = (await response.json()) as { events: { data: { state: string } }[] };
  return events.map(({ data }) => data.state);
}

describe("an answer", () => {
  test("goes on when its page is reloaded", async () => {
    await ask();
    await page.reload();
    await untilSome();
    await untilDone();
  });

  test("is followed live by a second tab, which may stop it for both", async () => {
    await ask();
    const second = await openPage();
    await untilSome(second);
    const before = (await shown(second)).length;
    model.reach(0.5);
    await expect.poll(async () => (await shown(second)).length).toBeGreaterThan(before);
    await button("Stop", second).click();
    for (const tab of [page, second]) await untilStopped(tab);
    expect(await shown()).toBe(await shown(second));
    expect(WHOLE.startsWith(await shown())).toBe(true);
    expect((await shown()).length).toBeLessThan(WHOLE.length);
  });

  test("asked for in one tab appears in the other, as does the one that takes its place", async () => {
    const second = await openPage();
    await ask();
    await untilSome(second);
    await button("Stop").click();
    await untilStopped(second);
    await button("Regenerate", second).click();
    for (const tab of [page, second]) await untilSome(tab);
    for (const tab of [page, second]) await untilDone(tab);
  });

  test("is made while its reader is offline, and is whole afterwards", async () => {
    let attempts = 0;
    page.on("requestfailed", (request) => {
      if (/\/api\/runs\/./.test(request.url())) attempts++;
    });
    await ask();
    proxy.cut();
    await context.setOffline(true);
    await foot().getByText("connection lost, reconnecting").waitFor();
    const before = await shown();
    model.reach(1);
    await expect.poll(statesOnServer).toEqual(["running", "done"]);
    // The one that was cut, and some that failed.
    await expect.poll(() => attempts, { timeout: BACK_MS }).toBeGreaterThanOrEqual(3);
    expect(await shown()).toBe(before);
    proxy.mend();
    await context.setOffline(false);
    await untilDone();
  });

  test.each(["SIGTERM", "SIGKILL"] as const)(
    "cut off by %s says so, and goes on when asked to",
    async (signal) => {
      await ask();
      await restart(signal);
      await panel("Chat").getByRole("alert").getByText("The server was restarted").waitFor();
      expect((await shown()).length).toBeLessThan(WHOLE.length);
      await button("Go on").click();
      await untilDone();
    },
  );

  test("that goes on is shown at once, also while the page has not found back to its conversation", async () => {
    await ask();
    // Only the answers get through.
    await page.route("**/api/chat/*", (route) => route.abort());
    await restart("SIGKILL");
    await button("Go on").click();
    await untilDone();
    await page.unroute("**/api/chat/*");
    await page.reload();
    await untilDone();
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
    await alert.getByText(/^The server can't be reached\.$/).waitFor();
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

  test("is asked for once, however often the button is pressed before the server has answered", async () => {
    let starts = 0;
    const count = (isPressed: Promise<unknown>) =>
      page.route("**/api/runs/*", async (route) => {
        if (route.request().method() === "POST") {
          starts++;
          await isPressed;
        }
        await route.continue();
      });
    for (const name of [QUESTION, "Regenerate"]) {
      let pressed = (): void => undefined;
      await count(
        new Promise<void>((resolve) => {
          pressed = resolve;
        }),
      );
      await button(name).dblclick();
      pressed();
      await untilSome();
      await button("Stop").click();
      await untilStopped();
      await page.unroute("**/api/runs/*");
    }
    expect(starts).toBe(2);
    expect(await panel("Chat").locator(".exchange").count()).toBe(1);
  });

  test("is found by a tab that opens just when another one changes the conversation", async () => {
    await ask();
    const second = await context.newPage();
    await second.addInitScript(() => {
      const theirs = localStorage.getItem("conversation") as string;
      localStorage.setItem("conversation", "another-one");
      const { addEventListener } = window;
      window.addEventListener = (...listening: [string, EventListenerOrEventListenerObject]) => {
        // As the other tab does it: nobody here is told.
        if (listening[0] === "storage") localStorage.setItem("conversation", theirs);
        addEventListener.apply(window, listening);
      };
    });
    await second.goto(page.url());
    await untilSome(second);
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

test("the list of runs shows what is running, and what came of it", async () => {
  await ask();
  const work = panel("Runs").getByRole("list", { name: "Runs", exact: true }).getByRole("listitem");
  await panel("Runs").scrollIntoViewIfNeeded();
  await work.getByText("running").waitFor();
  model.reach(1);
  await work.getByText("done").waitFor();
  expect(await work.count()).toBe(1);
});
