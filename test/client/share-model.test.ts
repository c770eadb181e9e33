// What sharing promises, whatever becomes of the tabs and of what they tell each other.
import { type EventStream, type EventStreamOptions, openEventStream } from "everstream/client";
import { beforeAll, describe, expect, test } from "vitest";
import { randomFrom, scale, seed } from "../resume/seed.ts";
import { numbers } from "./tabs.ts";
import { type Dialect, FOREIGN, HUB, NONE, VirtualServer } from "./virtual-server.ts";
import { VirtualBrowser, VirtualTab } from "./virtual-tabs.ts";

// What sharing needs is loaded before the clock is a virtual one.
beforeAll(async () => {
  await new Promise<void>((resolve) => {
    const fetch = async (): Promise<Response> => {
      resolve();
      return new Response(null, { status: 204 });
    };
    openEventStream("http://x/", { share: true, fetch }).onEvent(() => undefined);
  });
});

interface Tab {
  readonly tab: VirtualTab;
  readonly stream: EventStream;
  readonly got: number[];
  /** The number that it began after, where it came with an id. */
  readonly after: number | undefined;
}

/** A browser, a server, and the tabs that were not closed or killed. */
class World {
  readonly browser: VirtualBrowser;
  readonly server: VirtualServer;
  readonly tabs: Tab[] = [];
  readonly dialect: Dialect;

  constructor(dialect: Dialect, random: () => number) {
    this.dialect = dialect;
    this.browser = new VirtualBrowser(random);
    this.server = new VirtualServer(dialect, this.browser.clock, random);
  }

  open(options: EventStreamOptions = {}, tab = new VirtualTab()): Tab {
    const got: number[] = [];
    const { initialLastEventId } = options;
    const after = initialLastEventId === undefined ? undefined : this.dialect.numberOf?.(initialLastEventId);
    const fetch = this.server.fetchOf(tab);
    const stream = openEventStream("http://x/", { share: true, fetch, ...options });
    tab.enter(() => stream.onEvent(({ data }) => got.push(Number(data))));
    const opened = { tab, stream, got, after };
    this.tabs.push(opened);
    return opened;
  }

  close(one: Tab): void {
    this.tabs.splice(this.tabs.indexOf(one), 1);
    one.tab.enter(() => one.stream.close());
  }

  /** With all streams in it. */
  kill(tab: VirtualTab): void {
    for (const each of this.tabs.filter((one) => one.tab === tab))
      this.tabs.splice(this.tabs.indexOf(each), 1);
    this.browser.kill(tab);
  }

  pass(ms: number): Promise<void> {
    return this.browser.clock.pass(ms);
  }

  /** Everything gets well again, and time enough passes. */
  async heal(): Promise<void> {
    this.browser.loses = () => false;
    this.server.fails = () => undefined;
    for (const { tab } of this.tabs) {
      await tab.resume();
      tab.show(true);
    }
    if (this.tabs.length === 0) this.open();
    for (let second = 0; second < 60; second++) {
      await this.pass(1000);
      this.server.publish(1);
    }
    await this.pass(1000);
  }

  /** What is not as promised, after all was healed. */
  faults(): string[] {
    const faults = this.tabs.flatMap(({ got, after, stream }) => {
      const { state } = stream.status;
      const last = got.at(-1);
      return [
        ...breaks(got, after, this.dialect !== NONE),
        ...(last === this.server.last ? [] : [`the last was ${last} of ${this.server.last}`]),
        ...(state === "open" ? [] : [state]),
      ];
    });
    const { connections } = this.server;
    const { locks } = this.browser;
    if (connections !== 1) faults.push(`${connections} connections`);
    if (locks !== this.tabs.length) faults.push(`${locks} locks of ${this.tabs.length}`);
    return faults;
  }
}

/** Where numbers do not follow each other; without ids some may be missing, but none comes late or twice. */
function breaks(all: readonly number[], first: number | undefined, isComplete: boolean): string[] {
  return all.flatMap((number, index) => {
    const before = all[index - 1] ?? first;
    if (before === undefined) return [];
    const isRight = isComplete ? number === before + 1 : number > before;
    return isRight ? [] : [`${before}, then ${number}`];
  });
}

/** Chance plays with up to six tabs for some minutes. */
async function play(world: World, random: () => number): Promise<void> {
  const { browser, server, tabs, dialect } = world;
  let deaf: VirtualTab | undefined;
  const lossRate = random() < 0.5 ? 0.05 : 0;
  const failureRate = random() < 0.3 ? 0.3 : 0;
  browser.loses = (_, tab) => tab === deaf || random() < lossRate;
  server.fails = () => (random() < failureRate ? (random() < 0.5 ? "" : "3") : undefined);
  const anyOf = (all: readonly Tab[]): Tab | undefined => all[Math.floor(random() * all.length)];
  const awake = (): Tab | undefined => anyOf(tabs.filter(({ tab }) => !tab.hangs));
  const come = (): void => {
    if (tabs.length > 5) return;
    const number = random() < 0.3 ? server.last : Math.floor(random() * (server.last + 1));
    const id = random() < 0.4 ? dialect.id?.(number) : undefined;
    world.open(id === undefined ? {} : { initialLastEventId: id });
  };
  const closeOne = (): void => {
    const one = awake();
    if (!one) return;
    world.close(one);
    if (random() < 0.5) world.open({}, one.tab);
  };
  const killOne = (): void => {
    const one = anyOf(tabs);
    if (one) world.kill(one.tab);
  };
  const deafen = (tab: VirtualTab | undefined): void => {
    deaf = tab;
  };
  const wakeAll = async (): Promise<void> => {
    for (const { tab } of [...tabs]) if (tab.hangs) await tab.resume();
  };
  const acts: [weight: number, act: () => unknown][] = [
    [4, come],
    [1, closeOne],
    [1, killOne],
    [1, () => anyOf(tabs)?.tab.hang()],
    [1, () => awake()?.tab.freeze()],
    [3, wakeAll],
    [1, () => awake()?.tab.show(false)],
    [2, () => tabs.map(({ tab }) => tab.show(true))],
    [1, () => server.cutAll()],
    [1, () => deafen(anyOf(tabs)?.tab)],
    [3, () => deafen(undefined)],
    // More than tabs remember.
    [0.3, () => server.publish(1500)],
    [8, () => server.publish(Math.ceil(random() * 5))],
    [2, () => server.tellPositions()],
  ];
  const sum = acts.reduce((total, [weight]) => total + weight, 0);
  for (let step = 0; step < 80; step++) {
    let at = random() * sum;
    const [, act] =
      acts.find(([weight]) => {
        at -= weight;
        return at < 0;
      }) ?? [];
    await act?.();
    const pace = random();
    await world.pass(random() * (pace < 0.4 ? 5 : pace < 0.8 ? 300 : 12_000));
  }
}

const ROUNDS = Math.ceil(10 * scale);

describe("tabs that come, go, hang, are frozen and lose messages", () => {
  test.each([
    ["with positions of a hub, are complete and in order", HUB],
    ["with other ids, are complete and in order", FOREIGN],
    ["without ids, get nothing late or twice", NONE],
  ])(`%s (seed ${seed})`, { timeout: 60_000 * scale + 240_000 }, async (_, dialect) => {
    for (let round = 0; round < ROUNDS; round++) {
      const random = randomFrom(seed + round);
      const world = new World(dialect, random);
      await play(world, random);
      await world.heal();
      expect(world.faults(), `EVERSTREAM_SEED=${seed + round}`).toEqual([]);
      for (const one of [...world.tabs]) world.close(one);
    }
  });
});

describe.each([
  ["positions of a hub", HUB],
  ["other ids", FOREIGN],
  ["no ids", NONE],
])("with %s", (_, dialect) => {
  async function startTwo(): Promise<{ world: World; leader: Tab; follower: Tab }> {
    const world = new World(dialect, randomFrom(seed));
    const leader = world.open();
    await world.pass(1000);
    const follower = world.open();
    await world.pass(1000);
    world.server.publish(5);
    await world.pass(1000);
    return { world, leader, follower };
  }

  test("a leader that hung, and then tells that it lost its connection first, gets what it missed", async () => {
    const { world, leader, follower } = await startTwo();
    leader.tab.hang();
    await world.pass(1000);
    world.server.cutAll();
    await world.pass(20_000);
    world.server.publish(5);
    await world.pass(1000);
    expect(follower.got.map(String)).toEqual(numbers(1, 10));
    await leader.tab.goOn();
    await world.pass(1000);
    world.server.publish(5);
    await world.pass(1000);
    for (const { got } of world.tabs) expect(got.map(String)).toEqual(numbers(1, 15));
    expect(world.server.connections).toBe(1);
  });

  test("a tab whose answer comes after its time limit takes what comes from then on", async () => {
    const { world } = await startTwo();
    const late = world.open({ connectTimeout: 4000, minDelay: 5000 });
    world.browser.loses = ({ kind }, tab) => tab === late.tab && kind === "welcome";
    await world.pass(4500);
    expect(late.stream.status).toMatchObject({ state: "waiting", failure: { code: "TIMEOUT" } });
    world.browser.loses = () => false;
    // It would ask once more after five seconds, and not connect before that.
    await world.pass(15_000);
    world.server.publish(5);
    await world.pass(1000);
    expect(late.got.map(String)).toEqual(numbers(6, 10));
    expect(world.server.connections).toBe(1);
  });

  test("a leader that hung, and whose loop lagged, is not stalled when the loop goes on", async () => {
    const world = new World(dialect, randomFrom(seed));
    const leader = world.open({ maxQueue: 1 });
    const loop = leader.stream[Symbol.asyncIterator]();
    await world.pass(1000);
    const follower = world.open();
    await world.pass(1000);
    world.server.publish(5);
    await world.pass(1000);
    leader.tab.hang();
    await world.pass(20_000);
    await leader.tab.goOn();
    await world.pass(1000);
    const states: string[] = [];
    leader.stream.onStatus(({ state }) => states.push(state));
    for (const _ of leader.got) leader.tab.enter(() => void loop.next());
    for (let beat = 0; beat < 6; beat++) {
      await world.pass(10_000);
      world.server.tellPositions();
    }
    expect(follower.stream.status.state).toBe("open");
    expect(states.filter((state) => state !== "open")).toEqual([]);
    for (const one of [...world.tabs]) world.close(one);
  });
});
