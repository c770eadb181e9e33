// Tabs that come, go and lose messages by chance, all in one process.
import { expect, onTestFinished, test, vi } from "vitest";
import type { TabMessage } from "../../src/client/share-wire.ts";
import { randomFrom, seed } from "../resume/seed.ts";
import { startServer, type TestServer } from "./server.ts";
import { FAST, openTab, stubTabs, type Tab, type Writing, withIds, withoutIds } from "./tabs.ts";

stubTabs();

interface Publisher {
  readonly server: TestServer;
  publish(count: number): void;
  readonly last: () => number;
}

/** A server that sends everything to everybody who is there, and what has an id also to who comes back. */
async function startPublisher(write: Writing): Promise<Publisher> {
  let last = 0;
  const server = await startServer(({ open, request }) => {
    const id = request.headers["last-event-id"];
    open();
    if (id !== undefined) send(server, Number(String(id).slice(1)) + 1, server.exchanges.length - 1);
  });
  const send = ({ exchanges }: TestServer, from: number, index: number): void => {
    for (let number = from; number <= last; number++) exchanges[index]?.response.write(write(number));
  };
  return {
    server,
    last: () => last,
    publish(count) {
      const from = last + 1;
      last += count;
      for (const index of server.exchanges.keys()) send(server, from, index);
    },
  };
}

/** Plays with up to five tabs, and says what each of those that stayed has had. */
async function play(
  write: Writing,
  random: () => number,
  loses: (message: TabMessage) => boolean,
): Promise<string[][]> {
  const { server, publish, last } = await startPublisher(write);
  const tabs: Tab[] = [];
  const come = async (): Promise<void> => {
    const tab = await openTab(server, FAST);
    tab.channel.loses = loses;
    tabs.push(tab);
  };
  const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, random() * 4));
  const publisher = setInterval(() => publish(Math.ceil(random() * 3)), 1);
  onTestFinished(() => clearInterval(publisher));
  for (let round = 0; round < 60; round++) {
    if (tabs.length < 2 || (tabs.length < 5 && random() < 0.5)) await come();
    else tabs.splice(random() < 0.5 ? 0 : Math.floor(random() * tabs.length), 1)[0]?.stream.close();
    await pause();
  }
  while (tabs.length < 9) await come();
  // Those who stay see several go that lead.
  while (tabs.length > 3) {
    await pause();
    tabs.shift()?.stream.close();
    await vi.waitFor(() => expect(tabs[0]?.stream.status.state).toBe("open"), 20_000);
  }
  clearInterval(publisher);
  for (const { channel } of tabs) channel.loses = () => false;
  // What is sent while nobody is there is lost where it has no id.
  const before = last();
  await vi.waitFor(
    () => {
      publish(1);
      for (const { data } of tabs) expect(Number(data.all.at(-1))).toBeGreaterThan(before);
    },
    { timeout: 20_000, interval: 100 },
  );
  publish(1);
  for (const { data } of tabs) await vi.waitFor(() => expect(data.all.at(-1)).toBe(String(last())), 20_000);
  return tabs.map(({ data }) => data.all);
}

/** Where the numbers do not follow each other. */
function breaks(numbers: readonly string[]): string[] {
  return numbers.flatMap((number, index) => {
    const before = numbers[index - 1];
    return before === undefined || Number(number) === Number(before) + 1 ? [] : `${before}, then ${number}`;
  });
}

test(`with ids, everyone is complete and in order, whatever messages are lost (seed ${seed})`, async () => {
  const random = randomFrom(seed);
  for (const numbers of await play(withIds, random, () => random() < 0.03)) {
    expect(breaks(numbers)).toEqual([]);
  }
}, 60_000);

test(`without ids, nobody lacks what another has, whatever events are lost (seed ${seed})`, async () => {
  const random = randomFrom(seed + 1);
  const all = await play(withoutIds, random, ({ kind }) => kind === "event" && random() < 0.5);
  const [longest = []] = all.toSorted((a, b) => b.length - a.length);
  for (const numbers of all) {
    expect(numbers).toEqual(longest.slice(longest.indexOf(numbers[0] ?? "")));
    expect(new Set(numbers).size).toBe(numbers.length);
  }
}, 60_000);
