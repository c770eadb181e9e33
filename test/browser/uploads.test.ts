// Uploads to the reference application, in Chromium: the work on a file goes on without its page, and ends when it is cancelled.
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContext, Locator, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type BuiltApp, startBuiltApp } from "./built-app.ts";
import { launchChromium } from "./chromium.ts";

const MB = 1024 * 1024;

let browser: Browser;
let dataDir: string;
let app: BuiltApp;
let context: BrowserContext;
let page: Page;

beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "everstream-uploads-"));
  app = await startBuiltApp(dataDir);
  context = await browser.newContext();
  page = await context.newPage();
  await page.goto(`http://127.0.0.1:${app.port}`);
});
afterEach(async () => {
  await context.close();
  await app.stop();
  await rm(dataDir, { recursive: true, force: true });
});

const panel = (name: string): Locator => page.getByRole("region", { name, exact: true });
const bar = (): Locator => panel("Upload").getByRole("progressbar");
const step = (name: string): Locator => panel("Upload").locator("li[aria-current=step]", { hasText: name });

/** Sends a file of four letters at random: for its size, nothing takes longer to compress, some seconds for 16 MB. */
async function send(bytes: number): Promise<void> {
  const file = join(dataDir, "letters.txt");
  const letters = randomBytes(bytes);
  for (let at = 0; at < bytes; at++) letters[at] = 0x61 + ((letters[at] as number) & 3);
  await writeFile(file, letters);
  await panel("Upload").locator("input[type=file]").setInputFiles(file);
}

async function untilStoppedOnServer(): Promise<void> {
  const runs = panel("Runs");
  await runs.scrollIntoViewIfNeeded();
  await runs.getByText("stopped", { exact: true }).waitFor();
}

test("the work on a file goes on when the page is reloaded", async () => {
  await send(16 * MB);
  await step("Optimizing").waitFor();
  const before = Number(await bar().getAttribute("value"));
  const asked: string[] = [];
  page.on("request", (request) => asked.push(`${request.method()} ${new URL(request.url()).pathname}`));
  await page.reload();
  await panel("Upload").getByText("letters.txt", { exact: true }).waitFor();
  await expect.poll(async () => Number(await bar().getAttribute("value"))).toBeGreaterThanOrEqual(before);
  await panel("Upload").getByText("SHA-256").waitFor({ timeout: 90_000 });
  expect(asked).toContainEqual(expect.stringMatching(/^GET \/api\/runs\/upload-/));
  expect(asked.filter((request) => request.includes("/api/upload"))).toEqual([]);
});

test("one that is cancelled before its work was joined is stopped on the server", async () => {
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
  await send(48 * MB);
  await isStarted;
  await panel("Upload").getByRole("button", { name: "Cancel" }).click();
  await panel("Upload").getByText("Cancelled.").waitFor();
  answer();
  await untilStoppedOnServer();
  await panel("Upload").getByText("Cancelled.").waitFor();
});

test("one that is cancelled just when its work begins is stopped on the server", async () => {
  // Told of the run, the page stores its id first.
  await page.evaluate(() => {
    const { setItem } = Storage.prototype;
    Storage.prototype.setItem = function (key, value) {
      setItem.call(this, key, value);
      if (key !== "upload") return;
      for (const each of document.querySelectorAll("button")) if (each.textContent === "Cancel") each.click();
    };
  });
  await send(48 * MB);
  await untilStoppedOnServer();
  await panel("Upload").getByText("Cancelled.").waitFor();
});

test("one that is cancelled is stopped on the server", async () => {
  await send(48 * MB);
  await step("Optimizing").waitFor();
  await panel("Upload").getByRole("button", { name: "Cancel" }).click();
  await untilStoppedOnServer();
});
