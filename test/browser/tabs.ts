// Tabs of a real browser whose streams share a connection, before a hub on a real socket.
import type { Browser, Page } from "playwright-core";
import { expect, onTestFinished } from "vitest";
import { streamTopics } from "../../src/adapters/node.ts";
import type { EventStreamOptions } from "../../src/client/index.ts";
import { createHub, type Hub } from "../../src/index.ts";
import { openPage, type PageOptions, type StreamPage } from "./page-server.ts";
import type {} from "./pages/client.ts";

/** What can be given to a page. */
type TabOptions = Pick<EventStreamOptions, "share" | "initialLastEventId" | "maxRetries" | "credentials">;

export interface Tabs {
  readonly hub: Hub;
  readonly first: StreamPage;
  /** All connections that the server has now. */
  connections(): number;
  /** Opens a tab whose stream is shared; resolves once it is open. */
  open(options?: TabOptions): Promise<Page>;
  /** Publishes that many events, numbered on. */
  publish(count: number): Promise<string[]>;
}

/** A page that shares nothing, and a server with a hub for tabs beside it. */
export async function startTabs(browser: Browser, script: string, options: PageOptions = {}): Promise<Tabs> {
  const hub = createHub({ retention: { maxEvents: 1e6, maxBytes: 1e9 } });
  onTestFinished(() => hub.close());
  const first = await openPage(browser, script, {
    answer: ({ request, response }) => void streamTopics(request, response, hub, { topics: ["numbers"] }),
    ...options,
  });
  let published = 0;
  return {
    hub,
    first,
    connections: () => hub.stats().sessions,
    async open(tabOptions) {
      const page = await newTab(first);
      await share(page, tabOptions);
      await eventually(() => state(page)).toBe("open");
      return page;
    },
    async publish(count) {
      const all = Array.from({ length: count }, () => String(++published));
      for (const text of all) await hub.publish("numbers", { text });
      return all;
    },
  };
}

export async function newTab({ page, url }: StreamPage): Promise<Page> {
  const tab = await page.context().newPage();
  await tab.goto(url);
  return tab;
}

/** Opens the tab's stream. */
export async function share(page: Page, options: TabOptions = {}): Promise<void> {
  await page.evaluate((given) => {
    client.events.length = 0;
    client.states.length = 0;
    client.stream = client.openEventStream("/stream", { share: true, minDelay: 1, maxDelay: 50, ...given });
    client.stream.onStatus(({ state }) => client.states.push(state));
    client.stream.onGap((gap) =>
      client.events.push({ type: "gap", data: JSON.stringify(gap), lastEventId: "" }),
    );
    client.stream.onEvent((event) => client.events.push(event));
  }, options);
}

export function state(page: Page): Promise<string> {
  return page.evaluate(() => client.stream.status.state);
}

export function data(page: Page): Promise<string[]> {
  return page.evaluate(() => client.events.map((event) => event.data));
}

export function cursor(page: Page): Promise<string> {
  return page.evaluate(() => client.stream.lastEventId);
}

export const eventually = <T>(read: () => T) => expect.poll(read);

export async function expectData(pages: readonly Page[], expected: readonly string[]): Promise<void> {
  for (const page of pages) {
    await eventually(async () => (await data(page)).at(-1)).toBe(expected.at(-1));
    expect(await data(page)).toEqual(expected);
  }
}

/** As the browser's own task manager does it: the process is gone at once. */
export async function kill(page: Page): Promise<void> {
  const crashed = page.waitForEvent("crash");
  const session = await page.context().newCDPSession(page);
  session.send("Page.crash").catch(() => undefined);
  await crashed;
}

export async function setFrozen(page: Page, isFrozen: boolean): Promise<void> {
  const session = await page.context().newCDPSession(page);
  await session.send("Page.setWebLifecycleState", { state: isFrozen ? "frozen" : "active" });
}
