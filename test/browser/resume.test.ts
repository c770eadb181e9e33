// The browser's own EventSource behind a network that breaks connections at any byte, while publishers run.
import { memoryLog } from "everstream";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { startChaosProxy } from "../resume/chaos-proxy.ts";
import { randomFrom, seed } from "../resume/seed.ts";
import { TOPICS, topicsOf } from "../resume/topics.ts";
import { World } from "../resume/world.ts";
import { launchChromium } from "./chromium.ts";

/** Browsers open six connections to an origin over HTTP/1.1. */
const PER_ORIGIN = 6;
const ORIGINS = 20;

let browser: Browser;
beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

test(`${PER_ORIGIN * ORIGINS} EventSources get every event once and in order (seed ${seed})`, async () => {
  const random = randomFrom(seed);
  const world = new World(TOPICS, { log: memoryLog(), grantsOf: topicsOf, random });
  await world.listen();
  const cutAfter = () => Math.ceil(300 + random() * 6000);
  const ports = await Promise.all(
    Array.from({ length: ORIGINS }, () => startChaosProxy(world.port, cutAfter)),
  );
  const urls = ports.flatMap((port, origin) =>
    Array.from(
      { length: PER_ORIGIN },
      (_, index) => `http://127.0.0.1:${port}/${origin * PER_ORIGIN + index}`,
    ),
  );
  const context = await browser.newContext();
  onTestFinished(() => context.close());
  const page = await context.newPage();
  await page.goto(`http://127.0.0.1:${world.port}/page`);
  const [all] = await Promise.all([page.evaluate(readAll, urls), world.publish(300)]);
  const faults = all.flatMap((events, client) => {
    const received = world.receiver(client);
    for (const event of events) received.take(event);
    expect(received.gaps).toEqual([]);
    return world.account.faultsOf(received);
  });
  expect(faults).toEqual([]);
  expect(world.connections).toBeGreaterThan(urls.length * 2);
});

/** Runs in the page. */
function readAll(urls: string[]) {
  const readers = urls.map((url) => {
    const events: { event: string; data: string; lastEventId: string }[] = [];
    const source = new EventSource(url);
    return new Promise<typeof events>((resolve, reject) => {
      const take = ({ type, data, lastEventId }: MessageEvent<string>) => {
        events.push({ event: type, data, lastEventId });
        if (data !== '"end"') return;
        source.close();
        resolve(events);
      };
      source.addEventListener("message", take);
      source.addEventListener("sse:gap", take);
      source.onerror = () => {
        if (source.readyState === EventSource.CLOSED) reject(new Error(`${url} was given up for good`));
      };
    });
  });
  return Promise.all(readers);
}
