// One connection for several tabs of a real browser, before a hub on a real socket.
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { streamTopics } from "../../src/adapters/node.ts";
import { startServer } from "../client/server.ts";
import { randomFrom, seed } from "../resume/seed.ts";
import { programPath } from "../setup/programs.ts";
import { launchChromium } from "./chromium.ts";
import { bundle } from "./page-server.ts";
import {
  cursor,
  data,
  eventually,
  expectData,
  kill,
  newTab,
  setFrozen,
  share,
  startTabs,
  state,
} from "./tabs.ts";

let browser: Browser;
let script: string;

beforeAll(async () => {
  [browser, script] = await Promise.all([launchChromium(), bundle("client.ts")]);
});
afterAll(() => browser.close());

describe("tabs that share", () => {
  test("have one connection, and all get every event", async () => {
    const { open, publish, connections, first } = await startTabs(browser, script);
    const pages = [await open(), await open(), await open()];
    await expectData(pages, await publish(100));
    expect(first.streams).toHaveLength(1);
    expect(connections()).toBe(1);
    const ids = await Promise.all(pages.map(cursor));
    expect(new Set(ids).size).toBe(1);
  });

  test("are not those with another URL's, user's or credentials' stream", async () => {
    const { open, connections } = await startTabs(browser, script);
    await open();
    await open({ share: "ada" });
    await open({ share: "ada" });
    await open({ credentials: "omit" });
    expect(connections()).toBe(3);
  });

  test("go on when the one with the connection closes its stream, and the last ends it", async () => {
    const { open, publish, connections, first } = await startTabs(browser, script);
    const leader = await open();
    const others = [await open(), await open()];
    const early = await publish(5);
    await expectData([leader, ...others], early);
    await leader.evaluate(() => client.stream.close());
    const late = await publish(5);
    await expectData(others, [...early, ...late]);
    expect(await data(leader)).toEqual(early);
    expect(first.streams).toHaveLength(2);
    // The one that follows first.
    for (const page of others.reverse()) await page.evaluate(() => client.stream.close());
    await eventually(connections).toBe(0);
    expect(first.streams).toHaveLength(2);
  });

  test.each([
    ["closed", (page: Page) => page.close()],
    ["killed", kill],
  ])("lose and double nothing when the one with the connection is %s", async (_, end) => {
    const { open, publish, connections } = await startTabs(browser, script);
    const leader = await open();
    const others = [await open(), await open(), await open()];
    const early = await publish(50);
    const publishing = publish(2000);
    await end(leader);
    const all = [...early, ...(await publishing), ...(await publish(50))];
    await expectData(others, all);
    await eventually(connections).toBe(1);
    await eventually(() => Promise.all(others.map(state))).toEqual(["open", "open", "open"]);
  });

  test("show the shared connection's failure, and can be opened again", async () => {
    let status = 403;
    const { first, hub } = await startTabs(browser, script, {
      answer: ({ request, response }) => {
        if (status !== 200) response.writeHead(status).end("no");
        else void streamTopics(request, response, hub, { topics: ["numbers"] });
      },
    });
    const pages = [await newTab(first), await newTab(first)];
    status = 503;
    for (const page of pages) await share(page, { maxRetries: 1e6 });
    for (const page of pages) {
      await eventually(() => page.evaluate(() => client.stream.status.attempt > 2)).toBe(true);
    }
    status = 403;
    for (const page of pages) {
      await eventually(() => state(page)).toBe("failed");
      const failure = await page.evaluate(() => client.stream.status.failure);
      expect(failure).toMatchObject({ code: "HTTP_STATUS", status: 403, body: "no" });
    }
    const before = first.streams.length;
    status = 200;
    for (const page of pages) await share(page);
    for (const page of pages) await eventually(() => state(page)).toBe("open");
    expect(first.streams).toHaveLength(before + 1);
  });

  test("are over together when the server has nothing more", async () => {
    const { open, hub, publish } = await startTabs(browser, script);
    const pages = [await open(), await open()];
    const all = await publish(3);
    await hub.finish("numbers");
    await expectData(pages, all);
    for (const page of pages) await eventually(() => state(page)).toBe("closed");
  });

  test("hear of gaps", async () => {
    const { first } = await startTabs(browser, script, { answer: ({ open }) => open("id: 1\ndata: 1\n\n") });
    const pages = [await newTab(first), await newTab(first)];
    for (const page of pages) {
      await share(page);
      await page.evaluate(() => {
        client.stream.onGap(({ reason }) => client.states.push(reason));
      });
      await eventually(() => state(page)).toBe("open");
    }
    const [exchange] = first.streams;
    exchange?.response.write('event: sse:gap\ndata: {"reason":"trimmed","after":"1","next":"5"}\n\n');
    for (const page of pages) {
      await eventually(() => page.evaluate(() => client.states.at(-1))).toBe("trimmed");
    }
  });
});

describe("a tab that joins", () => {
  test("without a last event ID begins with the next event", async () => {
    const { open, publish, first } = await startTabs(browser, script);
    const leader = await open();
    const early = await publish(3);
    await expectData([leader], early);
    const other = await open();
    expect(await cursor(other)).toBe(await cursor(leader));
    const late = await publish(3);
    await expectData([other], late);
    await expectData([leader], [...early, ...late]);
    expect(first.streams).toHaveLength(1);
  });

  test("with one that the others have seen gets what came after it, without another request", async () => {
    const { open, publish, first } = await startTabs(browser, script);
    const leader = await open();
    await expectData([leader], await publish(10));
    const id = await leader.evaluate(() => client.events[3]?.lastEventId ?? "");
    const other = await open({ initialLastEventId: id });
    await publish(1);
    await expectData([other], ["5", "6", "7", "8", "9", "10", "11"]);
    expect(first.streams).toHaveLength(1);
  });

  test("with an older one catches up over a connection of its own, and gives that up", async () => {
    const { open, publish, connections, hub, first } = await startTabs(browser, script);
    const id = await hub.position();
    const early = await publish(3);
    await open();
    await open();
    expect(connections()).toBe(1);
    const other = await open({ initialLastEventId: id });
    await expectData([other], early);
    await eventually(connections).toBe(1);
    const late = await publish(3);
    await expectData([other], [...early, ...late]);
    expect(first.streams).toHaveLength(2);
  });
});

describe("a tab that was away", () => {
  test("frozen, gets what it missed, and held nobody up", async () => {
    const { open, publish, connections } = await startTabs(browser, script);
    const pages = [await open(), await open(), await open()] as const;
    const [leader, follower, other] = pages;
    const all = await publish(5);
    await expectData(pages, all);
    for (const page of [leader, follower]) {
      await setFrozen(page, true);
      all.push(...(await publish(5)));
      await expectData([other], all);
      await setFrozen(page, false);
      await expectData(pages, all);
    }
    await eventually(connections).toBe(1);
  });

  test("in the back/forward cache, gives its part up and gets what it missed", async () => {
    const caching = await chromium.launch({
      executablePath: programPath("chromium"),
      args: ["--no-sandbox", "--disable-background-networking"],
      ignoreDefaultArgs: ["--disable-back-forward-cache"],
    });
    onTestFinished(() => caching.close());
    const { open, publish, connections, first } = await startTabs(caching, script);
    const pages = [await open(), await open()] as const;
    const [leader, other] = pages;
    const all = await publish(5);
    await expectData(pages, all);
    await leader.goto(`${first.url}elsewhere`);
    all.push(...(await publish(5)));
    await expectData([other], all);
    await leader.goBack({ waitUntil: "commit" });
    all.push(...(await publish(5)));
    // The same page as before, not one that was loaded again.
    await expectData(pages, all);
    expect(await leader.evaluate(() => client.states)).toContain("paused");
    await eventually(connections).toBe(1);
  });

  test("hung, has its lead taken, and comes back as a follower", async () => {
    const { open, publish, connections, first } = await startTabs(browser, script);
    const leader = await open();
    const others = [await open(), await open()];
    const all = await publish(5);
    await expectData([leader, ...others], all);
    const { url, exchange } = await startServer();
    const hung = leader.evaluate((from) => {
      const request = new XMLHttpRequest();
      request.open("GET", from, false);
      request.send();
    }, url);
    const { response } = await exchange(0);
    await first.stream(1);
    all.push(...(await publish(5)));
    await expectData(others, all);
    response.writeHead(204, { "access-control-allow-origin": "*" }).end();
    await hung;
    await expectData([leader], all);
    await eventually(connections).toBe(1);
    all.push(...(await publish(5)));
    await expectData([leader, ...others], all);
  });
});

test("where the browser has no locks, each tab has a connection of its own", async () => {
  const { open, publish, connections, first } = await startTabs(browser, script);
  await first.page.context().addInitScript(() => {
    Object.defineProperty(Navigator.prototype, "locks", { value: undefined });
  });
  const pages = [await open(), await open()];
  expect(connections()).toBe(2);
  await expectData(pages, await publish(3));
});

test(`tabs come and go while messages are lost: everyone is complete and in order (seed ${seed})`, async () => {
  const random = randomFrom(seed);
  const { first, publish, connections } = await startTabs(browser, script);
  await first.page.context().addInitScript(loseMessages, Math.floor(random() * 1e9));
  const pages: Page[] = [];
  const all: string[] = [];
  let publishing = true;
  const publisher = (async () => {
    while (publishing) all.push(...(await publish(Math.ceil(random() * 5))), ...(await pause()));
  })();
  for (let round = 0; round < 20; round++) {
    const index = Math.floor(random() * pages.length);
    const page = pages[index];
    const act = page === undefined || pages.length < 3 ? 0 : random();
    if (act < 0.5) {
      const tab = await newTab(first);
      await share(tab);
      await eventually(() => state(tab)).toBe("open");
      pages.push(tab);
    } else if (page !== undefined && act < 0.9) {
      pages.splice(index, 1);
      await (act < 0.7 ? page.close() : kill(page));
    } else if (page !== undefined) {
      await setFrozen(page, true);
      await setFrozen(page, false);
    }
  }
  publishing = false;
  await publisher;
  all.push(...(await publish(1)));
  const last = all.at(-1);
  expect(pages.length).toBeGreaterThan(1);
  for (const page of pages) {
    await eventually(async () => (await data(page)).at(-1)).toBe(last);
    expect(breaks(await data(page))).toEqual([]);
  }
  await eventually(connections).toBe(1);
});

/** Where numbers do not follow each other. */
function breaks(numbers: readonly string[]): string[] {
  return numbers.flatMap((number, index) => {
    const before = numbers[index - 1];
    return before === undefined || Number(number) === Number(before) + 1 ? [] : `${before}, then ${number}`;
  });
}

function pause(): Promise<[]> {
  return new Promise((resolve) => setTimeout(resolve, 2, []));
}

/** Runs in the page, before its scripts: of a hundred messages one does not arrive. */
function loseMessages(start: number): void {
  let number = start + performance.timeOrigin;
  const Channel = globalThis.BroadcastChannel;
  globalThis.BroadcastChannel = class extends Channel {
    override set onmessage(listener: (event: MessageEvent) => void) {
      this.addEventListener("message", (event) => {
        number = (number * 16_807) % 2_147_483_647;
        if (number % 100 >= 1) listener(event as MessageEvent);
      });
    }
  };
}
