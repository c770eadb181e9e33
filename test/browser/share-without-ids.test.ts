// Several tabs of a real browser that share events which can be had only once.
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { launchChromium } from "./chromium.ts";
import { bundle } from "./page-server.ts";
import { data, eventually, kill, startTabs } from "./tabs.ts";

let browser: Browser;
let script: string;

beforeAll(async () => {
  [browser, script] = await Promise.all([launchChromium(), bundle("client.ts")]);
});
afterAll(() => browser.close());

declare global {
  /** Whether the page hears no events from other tabs. */
  var isDeaf: boolean | undefined;
}

interface Telling {
  open(): Promise<Page>;
  /** Tells the next number to whoever is there; the server remembers none. */
  tell(): void;
  last(): string;
}

async function startTelling(): Promise<Telling> {
  let number = 0;
  const { first, open } = await startTabs(browser, script, { answer: (exchange) => exchange.open() });
  await first.page.context().addInitScript(makeDeaf);
  return {
    open,
    last: () => String(number),
    tell() {
      number++;
      for (const { response } of first.streams) response.write(`data: ${number}\n\n`);
    },
  };
}

/** Runs in the page, before its scripts. */
function makeDeaf(): void {
  const Channel = globalThis.BroadcastChannel;
  globalThis.BroadcastChannel = class extends Channel {
    override set onmessage(listener: (event: MessageEvent<{ kind: string }>) => void) {
      this.addEventListener("message", (event) => {
        if (!(globalThis.isDeaf && event.data.kind === "event")) listener(event);
      });
    }
  };
}

async function setDeaf(pages: readonly Page[], isDeaf: boolean): Promise<void> {
  for (const page of pages) {
    await page.evaluate((value) => {
      globalThis.isDeaf = value;
    }, isDeaf);
  }
}

async function expectLast(pages: readonly Page[], last: string): Promise<void> {
  for (const page of pages) await eventually(async () => (await data(page)).at(-1)).toBe(last);
}

/** Tells until all have heard something new: what is told while nobody is there is lost. */
async function expectHearing(pages: readonly Page[], { tell, last }: Telling): Promise<void> {
  const before = Number(last());
  for (const page of pages) {
    await eventually(async () => {
      tell();
      return Number((await data(page)).at(-1));
    }).toBeGreaterThan(before);
  }
}

test("what one tab alone has heard, all have when the one with the connection is closed", async () => {
  const telling = await startTelling();
  const { open, tell, last } = telling;
  const leader = await open();
  // The next in line is one of those who lack something.
  const deaf = [await open(), await open()];
  const other = await open();
  const others = [...deaf, other];
  tell();
  await expectLast(others, "1");
  await setDeaf(deaf, true);
  tell();
  tell();
  await expectLast([leader, other], "3");
  await setDeaf(deaf, false);
  await leader.close();
  await expectHearing(others, telling);
  await expectLast(others, last());
  const [all = [], ...more] = await Promise.all(others.map(data));
  expect(all.slice(0, 3)).toEqual(["1", "2", "3"]);
  for (const each of more) expect(each).toEqual(all);
});

test("whoever is closed or killed, nobody lacks what another has", async () => {
  const telling = await startTelling();
  const { open, tell, last } = telling;
  const pages = [await open(), await open(), await open()];
  const ticking = setInterval(tell, 1);
  onTestFinished(() => clearInterval(ticking));
  for (const end of [(page: Page) => page.close(), kill, (page: Page) => page.close(), kill]) {
    pages.push(await open());
    await end(pages.shift() as Page);
    await expectHearing(pages, telling);
  }
  clearInterval(ticking);
  await expectHearing(pages, telling);
  await expectLast(pages, last());
  const [all = [], ...more] = await Promise.all(pages.map(data));
  expect(new Set(all).size).toBe(all.length);
  for (const each of more) expect(each).toEqual(all.slice(all.indexOf(each[0] ?? "")));
});
