import { type EventStream, type EventStreamOptions, openEventStream } from "everstream/client";
import { describe, expect, onTestFinished, test } from "vitest";
import { eventually } from "../session/eventually.ts";
import { closing, reached, recordData, startServer, type TestServer } from "./server.ts";
import {
  tabs as browser,
  Channel,
  events,
  FAST,
  numbers,
  openTab,
  stubTabs,
  type Tab,
  told,
  type Writing,
  withIds,
  withOneId,
  withoutIds,
} from "./tabs.ts";

stubTabs();

/** Three tabs that have had the events 1 and 2, of which one does not hear the next ones, up to 5. */
async function withDeaf(
  which: 1 | 2,
  write = withIds,
  until = 5,
): Promise<{ server: TestServer; tabs: [Tab, Tab, Tab] }> {
  const server = await startServer(({ open }, index) => {
    if (index === 0) open();
  });
  const tabs: [Tab, Tab, Tab] = [await openTab(server), await openTab(server), await openTab(server)];
  const first = await server.exchange(0);
  first.response.write(events(1, 2, write));
  for (const tab of tabs) await tab.data.count(2);
  tabs[which].channel.loses = (told) => told.kind === "event" && Number(told.event.data) <= until;
  first.response.write(events(3, until, write));
  for (const [index, tab] of tabs.entries()) if (index !== which) await tab.data.count(until);
  return { server, tabs };
}

const ALL = ["1", "2", "3", "4", "5", "6"];

const WRITINGS: [string, Writing, string | undefined][] = [
  ["with ids", withIds, "e5"],
  ["without ids", withoutIds, undefined],
  ["with one id", withOneId, "x"],
];

describe("when the leader leaves", () => {
  test.each(WRITINGS)("events %s that its successor did not see come from another", async (_, write, id) => {
    const { server, tabs } = await withDeaf(1, write);
    tabs[0].stream.close();
    const second = await server.exchange(1);
    expect(second.request.headers["last-event-id"]).toBe(id);
    second.open(events(6, 6, write));
    expect(await tabs[1].data.count(6)).toEqual(ALL);
    expect(await tabs[2].data.count(6)).toEqual(ALL);
  });

  test.each(WRITINGS)("a successor that saw more gives another the events %s", async (_, write, id) => {
    const { server, tabs } = await withDeaf(2, write);
    tabs[0].stream.close();
    const second = await server.exchange(1);
    expect(second.request.headers["last-event-id"]).toBe(id);
    second.open(events(6, 6, write));
    expect(await tabs[1].data.count(6)).toEqual(ALL);
    expect(await tabs[2].data.count(6)).toEqual(ALL);
  });

  test.each(WRITINGS)("events %s go on for one that saw more and says so too late", async (_, write, id) => {
    const { server, tabs } = await withDeaf(1, write);
    tabs[2].channel.loses = () => true;
    tabs[0].stream.close();
    const second = await server.exchange(1);
    expect(second.request.headers["last-event-id"]).toBe(id === "e5" ? "e2" : id);
    tabs[2].channel.loses = () => false;
    // What has an id is sent again.
    second.open(events(id === "e5" ? 3 : 6, 9, write));
    expect(await tabs[2].data.count(9)).toEqual(numbers(1, 9));
    await tabs[1].data.count(id === "e5" ? 9 : 6);
    second.response.write(events(10, 29, write));
    expect(await tabs[2].data.count(29)).toEqual(numbers(1, 29));
    expect((await tabs[1].data.count(id === "e5" ? 29 : 26)).slice(-23)).toEqual(numbers(7, 29));
  });

  test("a successor that began at a later position goes on where the others are", async () => {
    const server = await startServer(({ open }, index) => {
      if (index === 0) open("event: sse:live\nid: 1-5\ndata:\n\n");
    });
    const position: Writing = (number) => `id: 1-${number}\ndata: ${number}\n\n`;
    const { stream } = await openTab(server);
    await eventually(() => expect(stream.lastEventId).toBe("1-5"));
    const ahead = await openTab(server, { ...FAST, initialLastEventId: "1-8" });
    const other = await openTab(server);
    stream.close();
    const second = await server.exchange(1);
    expect(second.request.headers["last-event-id"]).toBe("1-5");
    second.open(events(6, 9, position));
    expect(await other.data.count(4)).toEqual(numbers(6, 9));
    expect(ahead.data.all).toEqual(["9"]);
    // Its memory begins there, too.
    const joining = await openTab(server, { ...FAST, initialLastEventId: "1-7" });
    expect(await joining.data.count(2)).toEqual(["8", "9"]);
  });

  test("during a wait, its successor waits as long", async () => {
    const server = await startServer(({ open, response }, index) => {
      if (index === 0) response.writeHead(503, { "retry-after": "600" }).end();
      else open();
    });
    const next = (): EventStream => {
      const stream = closing(openEventStream(server.url, FAST));
      stream.onEvent(() => undefined);
      return stream;
    };
    const first = next();
    const { nextTryAt } = await reached(first, "waiting");
    const second = next();
    expect(await reached(second, "waiting")).toMatchObject({ nextTryAt, failure: { status: 503 } });
    first.close();
    // Who joins hears it from the successor.
    expect(await reached(next(), "waiting")).toMatchObject({ nextTryAt });
    expect(second.status).toMatchObject({ state: "waiting", nextTryAt });
    expect(server.exchanges).toHaveLength(1);
  });

  test("during a wait, its successor forgets that one when it comes to another", async () => {
    const server = await startServer(({ response }, index) => {
      response.writeHead(503, index < 2 ? {} : { "retry-after": "600" }).end();
    });
    const next = (): EventStream => {
      const stream = closing(openEventStream(server.url, { share: true, minDelay: 500, maxDelay: 500 }));
      stream.onEvent(() => undefined);
      return stream;
    };
    const first = next();
    await reached(first, "waiting");
    const second = next();
    await eventually(() => expect(second.status).toMatchObject({ state: "waiting", attempt: 2 }));
    const { nextTryAt = 0 } = second.status;
    const lead = told("lead");
    first.close();
    await lead;
    // A tab that was just opened is not to wait.
    next();
    await server.exchange(2);
    await eventually(() => expect(second.status.nextTryAt).toBeGreaterThan(Date.now() + 500_000));
    await new Promise((resolve) => setTimeout(resolve, nextTryAt - Date.now() + 1));
    expect(second.status.state).toBe("waiting");
    expect(server.exchanges).toHaveLength(3);
  });
});

test("a stream that is closed while it joins has no part", async () => {
  const server = await startServer(({ open }) => open());
  const { stream } = await openTab(server);
  const other = await openTab(server);
  browser.window.dispatchEvent(Object.assign(new Event("pagehide"), { persisted: true }));
  browser.window.dispatchEvent(new Event("pageshow"));
  stream.close();
  other.stream.close();
  const later = await openTab(server);
  const { request, response } = await server.exchange(server.exchanges.length - 1);
  response.write("data: a\n\n");
  expect(await later.data.count(1)).toEqual(["a"]);
  expect(request.headers.accept).toBe("text/event-stream");
  expect(browser.locks.count).toBe(1);
});

test("a leader that takes its time to answer is joined under a steady flow", async () => {
  const server = await startServer();
  const stream = closing(openEventStream(server.url, FAST));
  const data = recordData(stream);
  const { open, response } = await server.exchange(0);
  open();
  await reached(stream, "open");
  let last = 0;
  const flow = setInterval(() => response.write(events(++last, last)), 50);
  onTestFinished(() => clearInterval(flow));
  await data.count(1);
  (Channel.all[0] as Channel).lagMs = 1500;
  const { data: others } = await openTab(server);
  const [from = ""] = await others.count(10);
  expect(others.all.slice(0, 10)).toEqual(numbers(Number(from), Number(from) + 9));
  expect(server.exchanges).toHaveLength(1);
});

test("a hole is seen with the next event, and filled", async () => {
  const { server, tabs } = await withDeaf(2);
  (await server.exchange(0)).response.write(events(6, 6));
  expect(await tabs[2].data.count(6)).toEqual(ALL);
  expect(server.exchanges).toHaveLength(1);
});

test("a tab whose hole the others do not remember asks the server", async () => {
  const { server, tabs } = await withDeaf(2, withIds, 2000);
  const first = await server.exchange(0);
  first.response.write(events(2001, 2001));
  const own = await server.exchange(1);
  expect(own.request.headers["last-event-id"]).toBe("e2");
  own.open(events(3, 2001));
  await own.gone;
  first.response.write(events(2002, 2002));
  for (const tab of tabs) expect(await tab.data.count(2002)).toEqual(numbers(1, 2002));
});

describe("each has a connection of its own", () => {
  test.each<[string, EventStreamOptions]>([
    ["that posts", { ...FAST, method: "POST", body: "a" }],
    ["that is not resumed", { ...FAST, resume: "never" }],
    ["that is resumed by a cursor alone", { ...FAST, resume: "cursor" }],
    ["that is resumed elsewhere", { ...FAST, resumeUrl: "http://127.0.0.1/" }],
    ["with other headers", FAST],
  ])("stream %s", async (_, options) => {
    const server = await startServer(({ open }) => open());
    await openTab(server, { ...options, headers: { "X-Tab": "1" } });
    await openTab(server, { ...options, headers: { "X-Tab": "2" } });
    expect(server.exchanges).toHaveLength(2);
  });

  test("where the browser refuses locks", async () => {
    browser.locks.refuses = true;
    const server = await startServer(({ open }) => open("data: a\n\n"));
    const tabs = [await openTab(server), await openTab(server)];
    for (const tab of tabs) expect(await tab.data.count(1)).toEqual(["a"]);
    expect(server.exchanges).toHaveLength(2);
  });
});
