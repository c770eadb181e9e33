import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, BrowserContext, Locator, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type BuiltApp, startBuiltApp } from "./built-app.ts";
import { launchChromium } from "./chromium.ts";
import { type CutProxy, startCutProxy } from "./cut-proxy.ts";

const ARTIFACTS = fileURLToPath(new URL("../../artifacts/", import.meta.url));

let browser: Browser;
let dataDir: string;
let app: BuiltApp;
let proxy: CutProxy;
let context: BrowserContext;
let page: Page;
/** What went wrong in the page, and what it asked of other hosts: nothing, in every test. */
let complaints: string[];

beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "everstream-built-"));
  app = await startBuiltApp(dataDir);
  proxy = await startCutProxy(app.port);
  await openPage();
});
afterEach(async () => {
  await context.close();
  await proxy.close();
  await app.stop();
  await rm(dataDir, { recursive: true, force: true });
  expect(complaints).toEqual([]);
});

async function openPage(): Promise<void> {
  complaints = [];
  context = await browser.newContext();
  page = await context.newPage();
  const origin = `http://127.0.0.1:${proxy.port}`;
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    // The browser itself reports requests that met a cut network, or a server that was closing.
    const expected = /net::ERR_|status of 503/.test(message.text());
    if (message.type() === "error" && !expected) complaints.push(message.text());
  });
  page.on("request", (request) => {
    if (!/^(data|blob):/.test(request.url()) && new URL(request.url()).origin !== origin) {
      complaints.push(`asked for ${request.url()}`);
    }
  });
  await page.goto(origin);
}

const panel = (name: string): Locator => page.getByRole("region", { name, exact: true });
const wireOf = (name: string): Locator => panel(name).getByRole("list", { name: /events as they arrive/ });
const inbox = (user: string): Locator =>
  panel("Notifications").getByRole("region", { name: user, exact: true });
const noticesOf = (user: string): Locator => inbox(user).getByRole("list");

/** What a part of the page shows, line by line. */
const textOf = async (part: Locator): Promise<string> => (await part.allInnerTexts()).join("\n");

async function notify(user: string, type: string, text: string): Promise<void> {
  const box = inbox(user);
  await box.getByRole("combobox").selectOption(type);
  await box.getByRole("textbox").fill(text);
  await box.getByRole("button", { name: "Send" }).click();
}

/** The texts of a user's notifications, oldest first. */
async function received(user: string): Promise<string[]> {
  const texts = await noticesOf(user).locator("li:not(.nothing)").allInnerTexts();
  return texts.map((text) => text.split("\n").at(-1) ?? "").reverse();
}

/** Publishes past the proxy, as somebody else's server would. */
async function publishBehind(user: string, text: string): Promise<void> {
  const cookies = await context.cookies();
  const response = await fetch(`http://127.0.0.1:${app.port}/api/notifications?as=${user}`, {
    method: "POST",
    headers: { cookie: cookies.map(({ name, value }) => `${name}=${value}`).join("; ") },
    body: JSON.stringify({ type: "message", payload: { text } }),
  });
  expect(response.status).toBe(201);
}

/** Panels hold a connection while they are in view; the notifications are, in the end. */
async function untilConnected(): Promise<void> {
  await comeTo("Clock");
  await panel("Clock").getByText("connected", { exact: true }).waitFor();
  await comeTo("Notifications");
  for (const user of ["Ada", "Grace"]) {
    await inbox(user).getByText("connected", { exact: true }).waitFor();
  }
}

async function comeTo(name: string): Promise<void> {
  await panel(name).evaluate((element) => element.scrollIntoView({ block: "center" }));
}

describe("chat", () => {
  test("tokens arrive one by one, and beside them the events that carry them", async () => {
    const chat = panel("Chat");
    // Every state of the answer that the page has shown.
    await page.evaluate(() => {
      const states: string[] = [];
      Object.assign(window, { states });
      new MutationObserver(() => {
        const text = document.querySelector(".answer")?.textContent ?? "";
        if (text !== states.at(-1)) states.push(text);
      }).observe(document.body, { subtree: true, childList: true, characterData: true });
    });
    await chat.getByRole("textbox").fill("What does a client do when its connection is lost?");
    await page.keyboard.press("Enter");
    await wireOf("Chat").getByText("event: done").waitFor();

    const states = await page.evaluate(() => (window as unknown as { states: string[] }).states);
    const [first = ""] = states.filter((state) => state !== "");
    const last = states.at(-1) ?? "";
    // How many tokens a frame shows is the machine's affair; that it shows the beginning first is ours.
    expect(last.startsWith(first)).toBe(true);
    expect(first.length).toBeLessThan(last.length);
    expect(states.length).toBeGreaterThan(5);
    const lengths = states.map((state) => state.replace(/\W/g, "").length);
    expect(lengths).toEqual([...lengths].sort((a, b) => a - b));
    expect(last).toMatch(/^I am the built-in docs assistant, no language model/);
    expect(await textOf(wireOf("Chat"))).toContain('data: {"content":');
  });

  test("a question is text, whatever it looks like", async () => {
    const chat = panel("Chat");
    await chat.getByRole("textbox").fill('<img src=x onerror="document.title = 1">');
    await page.keyboard.press("Enter");
    await chat.getByText('<img src=x onerror="document.title = 1">').waitFor();
    expect(await chat.locator("img").count()).toBe(0);
    expect(await page.title()).toBe("everstream");
  });
});

describe("notifications", () => {
  test("two users side by side get their own and nobody else's", async () => {
    await untilConnected();
    await notify("Ada", "message", "to Ada 1");
    await notify("Grace", "alert", "to Grace 1");
    await notify("Ada", "notification", "to Ada 2");
    await noticesOf("Ada").getByText("to Ada 2").waitFor();
    await noticesOf("Grace").getByText("to Grace 1").waitFor();
    expect(await received("Ada")).toEqual(["to Ada 1", "to Ada 2"]);
    expect(await received("Grace")).toEqual(["to Grace 1"]);
  });

  test("one that is sent before its user is signed in waits for that", async () => {
    let signIn = (): void => undefined;
    const isSent = new Promise<void>((resolve) => {
      signIn = resolve;
    });
    await page.route("**/api/session", (route) => isSent.then(() => route.continue()));
    await page.context().clearCookies();
    await page.reload();
    await comeTo("Notifications");
    const answered = page.waitForResponse(
      (response) => response.request().method() === "POST" && response.url().endsWith("?as=Ada"),
    );
    await notify("Ada", "alert", "early");
    signIn();
    // Whether it is shown depends on whether the stream is open by then: it brings what is sent from then on.
    expect((await answered).status()).toBe(201);
  });

  test("one whose answer is lost on its way is sent again, and is there once", async () => {
    await untilConnected();
    const losses: number[] = [];
    await page.route("**/api/notifications?as=Ada", async (route) => {
      if (route.request().method() !== "POST" || losses.length === 2) return route.fallback();
      losses.push((await route.fetch()).status());
      return route.abort("connectionreset");
    });
    await notify("Ada", "alert", "lost twice");
    await noticesOf("Ada").getByText("lost twice").waitFor();
    await expect.poll(() => losses).toEqual([201, 201]);
    await notify("Ada", "alert", "and the next");
    await noticesOf("Ada").getByText("and the next").waitFor();
    expect(await received("Ada")).toEqual(["lost twice", "and the next"]);
    // The stream brings both before it is known that the third try was answered.
    await inbox("Ada").getByRole("alert").waitFor({ state: "detached" });
  });
});

describe("upload", () => {
  test("a file's progress reaches 100 %, and the server has read what was sent", async () => {
    const upload = panel("Upload");
    const content = Buffer.from("everstream ".repeat(500_000));
    await upload
      .getByLabel(/Choose a file/)
      .setInputFiles({ name: "big.txt", mimeType: "text/plain", buffer: content });
    await upload.getByText("100 %").waitFor();
    await upload.getByText(createHash("sha256").update(content).digest("hex"), { exact: true }).waitFor();
    expect(await upload.getByRole("progressbar").getAttribute("value")).toBe("100");
    // Read beside the run's own reader, which may be ahead of it. Of what was before the page joined it hears the latest alone.
    await wireOf("Upload").getByText("event: done").waitFor();
    expect(await textOf(wireOf("Upload"))).toContain('{"step":"Complete","progress":100');
  });

  test("what is wrong with a file is said", async () => {
    const upload = panel("Upload");
    const fake = { name: "photo.png", mimeType: "image/png", buffer: Buffer.from("no picture") };
    await upload.getByLabel(/Choose a file/).setInputFiles(fake);
    await upload.getByRole("alert").getByText("sent as image/png").waitFor();
  });
});

describe("when the connection is cut", () => {
  test("everything comes back, and no notification is lost or doubled", async () => {
    await untilConnected();
    await publishBehind("Ada", "before");
    await noticesOf("Ada").getByText("before").waitFor();

    proxy.cut();
    await inbox("Ada")
      .getByText(/reconnecting|connecting/)
      .waitFor();
    for (const text of ["missed 1", "missed 2", "missed 3"]) await publishBehind("Ada", text);
    await publishBehind("Grace", "missed by Grace");
    proxy.mend();
    await untilConnected();
    await publishBehind("Ada", "after");
    await noticesOf("Ada").getByText("after").waitFor();
    await noticesOf("Grace").getByText("missed by Grace").waitFor();

    expect(await received("Ada")).toEqual(["before", "missed 1", "missed 2", "missed 3", "after"]);
    expect(await received("Grace")).toEqual(["missed by Grace"]);
    expect(
      await panel("Notifications")
        .getByText(/Last-Event-ID: \S+/)
        .count(),
    ).toBeGreaterThan(0);
  });

  test("the clock goes on counting, without a number left out or told twice", async () => {
    await comeTo("Clock");
    const tick = (): Promise<number> => textOf(panel("Clock").locator("dd.digits").last()).then(Number);
    await expect.poll(tick).toBeGreaterThanOrEqual(2);
    proxy.cut();
    await panel("Clock")
      .getByText(/reconnecting|connecting/)
      .waitFor();
    const before = await tick();
    proxy.mend();
    await expect.poll(tick, { timeout: 40_000 }).toBeGreaterThan(before + 1);
    const ids = [...(await textOf(wireOf("Clock"))).matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
    expect(ids).toEqual(ids.map((_, at) => at));
  });
});

describe("the server's process", () => {
  test.each(["SIGTERM", "SIGINT"] as const)("ends cleanly on %s while streams are open", async (signal) => {
    await untilConnected();
    expect(await app.stop(signal)).toBe(0);
  });

  test("the page finds it again after a restart, and users are still signed in", async () => {
    await untilConnected();
    await app.stop();
    await inbox("Ada")
      .getByText(/reconnecting|connecting/)
      .waitFor();
    app = await startBuiltApp(dataDir);
    proxy.leadTo(app.port);
    await untilConnected();
    await publishBehind("Ada", "from the new one");
    await noticesOf("Ada").getByText("from the new one").waitFor();
    expect(await received("Ada")).toEqual(["from the new one"]);
  });
});

describe("for everybody", () => {
  test("all of it works by keyboard alone", async () => {
    await untilConnected();
    const focused = (): Promise<string> =>
      page.evaluate(() => {
        const { activeElement } = document;
        return activeElement?.getAttribute("aria-label") ?? activeElement?.textContent ?? "";
      });
    const tabTo = async (name: string): Promise<void> => {
      for (let presses = 0; presses < 60; presses++) {
        if ((await focused()).startsWith(name)) return;
        await page.keyboard.press("Tab");
      }
      throw new Error(`Tab never came to ${name}`);
    };
    await tabTo("What is the heartbeat for?");
    expect(await page.evaluate(() => getComputedStyle(document.activeElement as Element).outlineStyle)).toBe(
      "solid",
    );
    await page.keyboard.press("Enter");
    await panel("Chat").getByText("I am the built-in").waitFor();
    await tabTo("Text of the notification for Grace");
    await page.keyboard.type("by keyboard");
    await page.keyboard.press("Enter");
    await noticesOf("Grace").getByText("by keyboard").waitFor();
  });

  test("it fits wide and narrow screens, light and dark", async () => {
    await untilConnected();
    await notify("Ada", "message", "Lunch at noon?");
    await notify("Ada", "alert", "Disk almost full on build-7");
    await notify("Grace", "notification", "Your report is ready");
    const upload = panel("Upload");
    const content = Buffer.from("2026-11-23T10:00:00Z GET /api/events 200\n".repeat(100_000));
    await upload
      .getByLabel(/Choose a file/)
      .setInputFiles({ name: "access.log", mimeType: "text/plain", buffer: content });
    await panel("Chat")
      .getByRole("button", { name: /resume/ })
      .click();
    await wireOf("Chat").getByText("event: done").waitFor();
    await upload.getByText("SHA-256").waitFor();
    await comeTo("Runs");
    await expect.poll(() => panel("Runs").getByText("done", { exact: true }).count()).toBe(2);

    mkdirSync(ARTIFACTS, { recursive: true });
    for (const width of [1280, 390]) {
      await page.setViewportSize({ width, height: 800 });
      await expect.poll(() => page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
        await page.screenshot({ path: `${ARTIFACTS}demo-${width}-${colorScheme}.png`, fullPage: true });
      }
    }
  });
});
