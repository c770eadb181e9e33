// The reference application on a cluster, in Chromium: nodes are killed, and whoever is on the page has everything.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContext, Locator, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startNats } from "../brokers/nats-server.ts";
import { type BuiltCluster, NODE_NAMES, startBuiltCluster } from "./built-cluster.ts";
import { launchChromium } from "./chromium.ts";
import { BEGINNING, type PlayedModel, playModel, WHOLE } from "./played-model.ts";

const QUESTION = "How does a client resume after a lost connection?";

let browser: Browser;
let dataDir: string;
let model: PlayedModel;
let cluster: BuiltCluster;
let context: BrowserContext;
let page: Page;

beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

/** Has the tests of this suite use a cluster that is started for them, on the log that `log` starts if it is given. */
function useCluster(log?: () => Promise<{ readonly url: string; dispose(): Promise<void> }>): void {
  let server: Awaited<ReturnType<NonNullable<typeof log>>> | undefined;
  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), "everstream-cluster-"));
    server = await log?.();
    model = await playModel();
    cluster = await startBuiltCluster(dataDir, server?.url, model.env);
  }, 120_000);
  afterAll(async () => {
    expect(await cluster.stop()).toBe(0);
    await model.close();
    await server?.dispose();
    await rm(dataDir, { recursive: true, force: true });
  });
  beforeEach(async () => {
    model.reach(1 / 4);
    context = await browser.newContext();
    page = await context.newPage();
    await page.goto(`http://127.0.0.1:${cluster.port}`);
  });
  afterEach(() => context.close());
}

const panel = (name: string, on = page): Locator => on.getByRole("region", { name, exact: true });
const foot = (on = page): Locator => panel("Chat", on).locator(".exchange-foot").last();

async function shown(on = page): Promise<string> {
  return (await panel("Chat", on).locator(".answer").last().textContent()) ?? "";
}

/** Asks, and waits for the first words. Resolves to the node that answers, and the one that the answer is read from. */
async function ask(): Promise<{ answers: string; serves: string }> {
  // Users sign in by POST, too, and a node that is gone leaves the question to the next try.
  const posted = page.waitForResponse(
    (response) =>
      /\/api\/runs\/./.test(response.url()) && response.request().method() === "POST" && response.ok(),
  );
  await panel("Chat").getByRole("button", { name: QUESTION }).click();
  const answers = (await posted).headers()["x-node"] as string;
  await panel("Chat").locator(".answer").last().getByText(BEGINNING).waitFor();
  const serves = (await foot().locator(".node").textContent()) as string;
  return { answers, serves };
}

async function untilWhole(on = page): Promise<void> {
  await foot(on).getByText("done", { exact: true }).waitFor({ timeout: 60_000 });
  expect(await shown(on)).toBe(WHOLE);
  expect(await panel("Chat", on).locator(".exchange").count()).toBe(1);
  expect(await panel("Chat", on).getByRole("alert").count()).toBe(0);
}

/** Kills the node that has this part in an answer, in the middle of it; two pages must have all of it all the same. */
async function killInTheMiddle(role: "answers" | "serves"): Promise<void> {
  const second = await context.newPage();
  await second.goto(`http://127.0.0.1:${cluster.port}`);
  const node = (await ask())[role];
  const before = cluster.starts(node);
  // While words are on their way.
  model.reach(1 / 2);
  cluster.kill(node);
  expect((await shown()).length).toBeLessThan(WHOLE.length);
  model.reach(1);
  for (const tab of [page, second]) await untilWhole(tab);
  await expect.poll(() => cluster.starts(node), { timeout: 60_000 }).toBe(before + 1);
}

describe("on Redis", () => {
  useCluster();

  test("each connection shows the node that it leads to", async () => {
    for (const name of ["Notifications", "Runs", "Clock"]) {
      const connection = panel(name).locator(".connection").first();
      await connection.scrollIntoViewIfNeeded();
      await connection.getByText("connected").waitFor();
      expect(NODE_NAMES).toContain(await connection.locator(".node").textContent());
    }
  });

  test.each(["answers", "serves"] as const)(
    "when the node that %s is killed in the middle, the page gets the whole answer, and nothing twice",
    killInTheMiddle,
  );

  test("a notification sent over one node is received over another, also by who was cut off meanwhile", async () => {
    const inbox = panel("Notifications").getByRole("region", { name: "Ada", exact: true });
    await inbox.scrollIntoViewIfNeeded();
    await inbox.getByText("connected").waitFor();
    const node = (await inbox.locator(".node").textContent()) as string;
    cluster.kill(node);
    for (const text of ["first", "second", "third"]) {
      await inbox.getByRole("textbox").fill(text);
      await inbox.getByRole("button", { name: "Send" }).click();
      await inbox.getByRole("listitem").filter({ hasText: text }).waitFor();
    }
    expect(await inbox.getByRole("listitem").count()).toBe(3);
    // The answer to what was sent may come after the stream has brought it.
    await inbox.getByRole("alert").waitFor({ state: "detached" });
  });

  test("an upload is processed on whichever node the requests for it come to", async () => {
    const upload = panel("Upload");
    const buffer = Buffer.from("Some text. ".repeat(10_000));
    await upload
      .locator("input[type=file]")
      .setInputFiles({ name: "text.txt", mimeType: "text/plain", buffer });
    await upload.getByText("SHA-256").waitFor();
    const runs = panel("Runs");
    await runs.scrollIntoViewIfNeeded();
    await runs.getByRole("listitem").filter({ hasText: "upload" }).getByText("done").first().waitFor();
  });
});

describe("on NATS", () => {
  useCluster(startNats);

  test("when the node that answers is killed in the middle, the page gets the whole answer, and nothing twice", () =>
    killInTheMiddle("answers"));
});
