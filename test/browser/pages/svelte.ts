import { eventStream } from "everstream/svelte";
import { type Component, hydrate, mount, unmount } from "svelte";
import { derived, get, type Readable } from "svelte/store";
import Quotes from "./quotes.svelte";

/** What the tests read and do, on `window.svelteApp`. */
export interface TestApp {
  show(url: string): void;
  hydrate(url: string): void;
  end(): Promise<void>;
  reopen(): void;
  join(id: string): void;
  /** What `onEvent` was given. */
  seen: string[];
  /** The length of what a stream says, by Svelte's own stores. */
  watchLength(): void;
  stopWatching(): void;
  /** Shows another stream in the same component. */
  go(url: string): void;
  lengths: number[];
}

declare global {
  var svelteApp: TestApp;
}

const component: Component<{ url: string; id: string }> = Quotes;
const target = document.getElementById("root") as HTMLElement;
let mounted: ReturnType<typeof mount> | undefined;

globalThis.svelteApp = {
  show(url) {
    mounted = mount(component, { target, props: { url, id: "quotes" } });
  },
  hydrate(url) {
    mounted = hydrate(component, { target, props: { url, id: "quotes" } });
  },
  async end() {
    if (mounted) await unmount(mounted);
  },
  reopen: () => undefined,
  join: () => undefined,
  seen: [],
  watchLength() {
    const store: Readable<{ readonly data: string }> = eventStream("/stream", {
      initial: "",
      reduce: (all, { data }) => all + data,
    });
    if (get(store).data !== "") throw new Error("a store has its initial value at once");
    const length = derived(store, ({ data }) => data.length);
    svelteApp.stopWatching = length.subscribe((value) => svelteApp.lengths.push(value));
  },
  stopWatching: () => undefined,
  go: () => undefined,
  lengths: [],
};
