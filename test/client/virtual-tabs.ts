// Tabs as processes of their own on one virtual clock: each can be killed, or hang, at any moment, and what they tell each
// other is late or lost as a seed wants it. A run takes no time but that of its work, and the same seed gives the same run.
import { AsyncLocalStorage } from "node:async_hooks";
import { onTestFinished, vi } from "vitest";
import type { TabMessage } from "../../src/client/share-wire.ts";

const inTab = new AsyncLocalStorage<VirtualTab>();

/** The turn of the real event loop after all promises have settled. */
const settle = (() => {
  const { setImmediate } = globalThis;
  return (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
})();

interface Task {
  readonly at: number;
  readonly run: () => void;
  isCancelled: boolean;
}

/** Runs what is due, one after the other. */
export class VirtualClock {
  now = 1_700_000_000_000;
  #tasks: Task[] = [];

  after(ms: number, run: () => void): Task {
    const task = { at: this.now + Math.max(0, ms), run, isCancelled: false };
    // In order of time; of equal ones, as they were set.
    let from = 0;
    let to = this.#tasks.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((this.#tasks[middle] as Task).at > task.at) to = middle;
      else from = middle + 1;
    }
    this.#tasks.splice(from, 0, task);
    return task;
  }

  cancel(task: Task): void {
    task.isCancelled = true;
    this.#tasks = this.#tasks.filter((other) => other !== task);
  }

  async pass(ms: number): Promise<void> {
    const until = this.now + ms;
    // For what was begun outside of all tasks.
    for (let turn = 0; turn < 5; turn++) await settle();
    for (let [next] = this.#tasks; next !== undefined && next.at <= until; [next] = this.#tasks) {
      this.#tasks.shift();
      this.now = next.at;
      next.run();
      await settle();
    }
    this.now = until;
  }
}

/** One tab: all that happens in it goes through its `enter`. */
export class VirtualTab {
  readonly window = new EventTarget();
  readonly document = new EventTarget();
  isKilled = false;
  #held: (() => void)[] | undefined;
  enter(task: () => void): void {
    if (this.isKilled) return;
    if (this.#held) this.#held.push(task);
    else inTab.run(this, task);
  }

  get hangs(): boolean {
    return this.#held !== undefined;
  }
  /** From now on everything waits. */
  hang(): void {
    this.#held ??= [];
  }

  /** All that has waited happens, in its order. */
  async goOn(): Promise<void> {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const task of held) {
      this.enter(task);
      await settle();
    }
  }

  /** As the browser does it before it freezes a page, and afterwards. */
  freeze(): void {
    this.enter(() => this.document.dispatchEvent(new Event("freeze")));
    this.hang();
  }

  async resume(): Promise<void> {
    await this.goOn();
    this.enter(() => this.document.dispatchEvent(new Event("resume")));
  }

  /** Into the back/forward cache, and out of it. */
  show(isShown: boolean): void {
    const event = new Event(isShown ? "pageshow" : "pagehide");
    this.enter(() => this.window.dispatchEvent(Object.assign(event, { persisted: true })));
  }
}

function currentTab(): VirtualTab {
  const tab = inTab.getStore();
  if (tab === undefined) throw new Error("this happens in no tab");
  return tab;
}

interface Request {
  readonly tab: VirtualTab;
  readonly name: string;
  readonly hold: () => Promise<void> | undefined;
  readonly settle: (error?: Error) => void;
}

/** A browser with tabs. It stands in place of the globals until the test is over. */
export class VirtualBrowser {
  readonly clock = new VirtualClock();
  readonly #random: () => number;
  readonly #channels = new Set<VirtualChannel>();
  #held: Request | undefined;
  #pending: Request[] = [];
  /** Whether a message does not reach a tab. */
  loses: (message: TabMessage, tab: VirtualTab) => boolean = () => false;

  constructor(random: () => number) {
    this.#random = random;
    const browser = this;
    const { clock } = browser;
    let uuids = 0;
    const setTimer = (ms: number, run: () => void): Task => {
      const tab = currentTab();
      // One that is due in a tab that hangs can be cancelled still.
      const task: Task = clock.after(ms, () => tab.enter(() => task.isCancelled || run()));
      return task;
    };
    vi.stubGlobal("setTimeout", (run: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) =>
      setTimer(ms, () => run(...args)),
    );
    vi.stubGlobal("clearTimeout", (task?: Task) => task && clock.cancel(task));
    vi.stubGlobal("setInterval", (run: () => void, ms: number) => {
      const interval: { task?: Task | undefined } = {};
      const next = (): void => {
        // A tab that hung has missed all but one.
        interval.task = setTimer(ms, () => {
          run();
          if (interval.task) next();
        });
      };
      next();
      return interval;
    });
    vi.stubGlobal("clearInterval", (interval?: { task?: Task | undefined }) => {
      if (!interval?.task) return;
      clock.cancel(interval.task);
      interval.task = undefined;
    });
    vi.spyOn(Date, "now").mockImplementation(() => clock.now);
    vi.spyOn(Math, "random").mockImplementation(random);
    vi.stubGlobal("navigator", { locks: { request: this.#request, query: this.#query } });
    vi.stubGlobal("document", {
      hidden: false,
      addEventListener: (...args: Parameters<EventTarget["addEventListener"]>) =>
        currentTab().document.addEventListener(...args),
    });
    vi.stubGlobal("addEventListener", (...args: Parameters<EventTarget["addEventListener"]>) =>
      currentTab().window.addEventListener(...args),
    );
    vi.stubGlobal("crypto", {
      randomUUID: () => `uuid-${++uuids}`,
      subtle: { digest: async () => new ArrayBuffer(32) },
    });
    vi.stubGlobal(
      "BroadcastChannel",
      class extends VirtualChannel {
        constructor() {
          super(currentTab(), (channel, message) => browser.#tell(channel, message));
          browser.#channels.add(this);
        }

        override close(): void {
          super.close();
          browser.#channels.delete(this);
        }
      },
    );
    onTestFinished(() => {
      vi.unstubAllGlobals();
      vi.restoreAllMocks();
    });
  }

  /** At once everything of the tab is gone. */
  kill(tab: VirtualTab): void {
    tab.isKilled = true;
    for (const channel of this.#channels) if (channel.tab === tab) this.#channels.delete(channel);
    this.#pending = this.#pending.filter((request) => request.tab !== tab);
    if (this.#held?.tab === tab) this.#held = undefined;
    this.#grant();
  }

  /** How many hold the lock or wait for it. */
  get locks(): number {
    return this.#pending.length + Number(this.#held !== undefined);
  }

  #tell(from: VirtualChannel, message: TabMessage): void {
    const copy = structuredClone(message);
    for (const channel of this.#channels) {
      if (from.tab.isKilled || channel === from || this.loses(copy, channel.tab)) continue;
      // In order for each pair.
      const at = Math.max(this.clock.now + this.#random() * 10, channel.dueAt.get(from) ?? 0);
      channel.dueAt.set(from, at);
      this.clock.after(at - this.clock.now, () =>
        channel.tab.enter(() => {
          // One copy for all: nobody changes it.
          if (!channel.isClosed) channel.onmessage?.({ data: copy } as MessageEvent);
        }),
      );
    }
  }

  readonly #request = (
    name: string,
    { signal, steal = false }: { signal?: AbortSignal; steal?: boolean },
    hold: Request["hold"],
  ): Promise<void> => {
    const tab = currentTab();
    return new Promise((resolve, reject) => {
      if (tab.isKilled) return;
      const settle = (error?: Error): void => (error ? reject(error) : resolve());
      const request: Request = { tab, name, hold, settle };
      signal?.addEventListener("abort", () => {
        if (!this.#pending.includes(request)) return;
        this.#pending = this.#pending.filter((other) => other !== request);
        reject(new DOMException("Aborted", "AbortError"));
      });
      if (steal) {
        const stolen = this.#held;
        this.#held = undefined;
        if (stolen) this.#later(stolen.tab, () => stolen.settle(new DOMException("Stolen", "AbortError")));
        this.#pending.unshift(request);
      } else this.#pending.push(request);
      this.#grant();
    });
  };

  readonly #query = async (): Promise<{ pending: { name: string }[] }> => ({
    pending: this.#pending.map(({ name }) => ({ name })),
  });

  #grant(): void {
    const next = this.#pending[0];
    if (next === undefined || this.#held !== undefined) return;
    this.#held = next;
    this.#pending.shift();
    const release = (): void => {
      next.settle();
      if (this.#held !== next) return;
      this.#held = undefined;
      this.#grant();
    };
    // Where it was stolen meanwhile, the callback is called still.
    this.#later(next.tab, () => void Promise.resolve(next.hold()).then(release));
  }

  /** In order for each tab: what the browser's process tells it. */
  readonly #dueAt = new Map<VirtualTab, number>();
  #later(tab: VirtualTab, task: () => void): void {
    const at = Math.max(this.clock.now + this.#random() * 5, this.#dueAt.get(tab) ?? 0);
    this.#dueAt.set(tab, at);
    this.clock.after(at - this.clock.now, () => tab.enter(task));
  }
}

class VirtualChannel {
  readonly tab: VirtualTab;
  readonly dueAt = new Map<VirtualChannel, number>();
  onmessage: ((event: MessageEvent) => void) | undefined;
  isClosed = false;
  readonly #tell: (channel: VirtualChannel, message: TabMessage) => void;

  constructor(tab: VirtualTab, tell: (channel: VirtualChannel, message: TabMessage) => void) {
    this.tab = tab;
    this.#tell = tell;
  }

  postMessage(message: TabMessage): void {
    if (this.isClosed) throw new DOMException("Closed", "InvalidStateError");
    this.#tell(this, message);
  }
  close(): void {
    this.isClosed = true;
  }
}
