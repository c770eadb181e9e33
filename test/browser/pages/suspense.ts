import type { StreamEvent } from "everstream/client";
import { EverstreamProvider, type EverstreamProviderProps, useEventStream, useRun } from "everstream/react";
import {
  Component,
  createElement,
  type FunctionComponent,
  type ReactNode,
  StrictMode,
  Suspense,
  startTransition,
  useState,
} from "react";
import { createRoot, hydrateRoot, type Root } from "react-dom/client";

/** What the tests read and do, on `window.tree`. */
export interface TestTree {
  /** Shows the views of these names, and no others. */
  show(...names: string[]): void;
  hydrate(name: string): void;
  /** Lets the error boundary try once more. */
  retry(): void;
  /** What the reducer and `onEvent` of quotes were given, and what was shown at each rendering. */
  reduced: string[];
  seen: string[];
  shown: unknown[];
  /** What the nearest provider is given from the next rendering on. */
  provided: EverstreamProviderProps;
  start(): void;
  /** Shows another quote in the component that is there, at once or as a transition. */
  go(url: string, asTransition: boolean): void;
  /** What else quotes after the first wait for, beside their events. */
  held: Promise<void> | undefined;
  release(): void;
}

declare global {
  var tree: TestTree;
}

const text = (id: string, value: unknown) => createElement("p", { id }, JSON.stringify(value));

function Quote({ id = "quote", url = "/stream" }: { id?: string; url?: string }) {
  const { data, status } = useEventStream(url, {
    suspense: true,
    initial: null as string | null,
    reduce: (all, { data }: StreamEvent) => {
      tree.reduced.push(data);
      return (all ?? "") + data;
    },
    onEvent: ({ data }) => {
      tree.seen.push(data);
      if (data === "bad") throw new Error("onEvent failed");
    },
  });
  tree.shown.push(data);
  return text(id, [data, status.state]);
}

function Plain() {
  const { data, status } = useEventStream(
    { url: "stream", headers: { "X-Own": "own" } },
    { initial: "", reduce: (all, { data }) => all + data },
  );
  return text("plain", [data, status.state]);
}

function Job() {
  const { run, start } = useRun("stream/runs", { headers: { "X-Own": "own" } });
  tree.start = () => void start({ id: "a" });
  return text("job", run?.state ?? null);
}

/** Who logs in gets a stream and a run in the same commit, below a provider that is rendered no second time for that. */
function Login() {
  const [token, setToken] = useState("none");
  tree.go = (next) => {
    setToken(next);
    enter(true);
  };
  return createElement(EverstreamProvider, { headers: () => ({ "x-token": token }) }, behindLogin);
}

let enter: (isIn: boolean) => void;

function Guarded() {
  const [isIn, setIn] = useState(false);
  enter = setIn;
  return isIn && [createElement(Plain, { key: 1 }), createElement(Joined, { key: 2 })];
}

function Joined() {
  return text("joined", useRun("stream/runs", { id: "a" }).run?.state ?? null);
}

const behindLogin = createElement(EverstreamProvider, { minDelay: 1 }, createElement(Guarded));

function Route() {
  const [url, setUrl] = useState("/stream?1");
  tree.go = (next, asTransition) => {
    if (asTransition) startTransition(() => setUrl(next));
    else setUrl(next);
  };
  return [
    createElement(Quote, { key: 1, url }),
    createElement(Slow, { key: 2, isHeld: url !== "/stream?1" }),
  ];
}

function Slow({ isHeld }: { isHeld: boolean }) {
  if (isHeld && tree.held !== undefined) throw tree.held;
  return null;
}

/** A token that is a new one at each rendering. */
function Fresh() {
  const [token, setToken] = useState(1);
  tree.go = () => setToken(token + 1);
  const headers = () => ({ "x-token": String(token) });
  const { data } = useEventStream(
    { url: "/stream", headers },
    { suspense: true, initial: "", reduce: (all, { data }) => all + data },
  );
  return text("fresh", [data, token]);
}

class Boundary extends Component<{ readonly children: ReactNode }, { readonly error: unknown }> {
  override state: { readonly error: unknown } = { error: undefined };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override componentDidMount() {
    tree.retry = () => this.setState({ error: undefined });
  }

  override render() {
    const { error } = this.state as { error: { code: string; cause: { status: number } } | undefined };
    return error === undefined ? this.props.children : text("error", [error.code, error.cause?.status]);
  }
}

const fallback = text("fallback", "waiting");
const waiting = (children: ReactNode) =>
  createElement(Boundary, null, createElement(Suspense, { fallback }, children));
const provided = (children: ReactNode) => createElement(EverstreamProvider, tree.provided, children);

const views: Readonly<Record<string, FunctionComponent>> = {
  quote: () => waiting(createElement(Quote)),
  twice: () => waiting([createElement(Quote, { key: 1 }), createElement(Quote, { key: 2, id: "second" })]),
  fresh: () => waiting(createElement(Fresh)),
  login: Login,
  route: () => waiting(createElement(Route)),
  provided: () => provided([createElement(Plain, { key: 1 }), createElement(Job, { key: 2 })]),
  nested: () =>
    provided(createElement(EverstreamProvider, { headers: { "x-inner": "inner" } }, createElement(Plain))),
  isolated: () =>
    [provided(createElement(Plain, null)), provided(createElement(Plain, null))].map((each, key) =>
      createElement("div", { key }, each),
    ),
  suspended: () => provided(waiting(createElement(Quote))),
  stuck: () => waiting(provided(createElement(Quote))),
};

function App({ names }: { names: readonly string[] }) {
  return names.map((name) => createElement(views[name] as FunctionComponent, { key: name }));
}

const container = document.getElementById("root") as HTMLElement;
const wholePage = (names: readonly string[]) =>
  createElement(StrictMode, null, createElement(App, { names }));
let root: Root | undefined;

globalThis.tree = {
  show(...names) {
    root ??= createRoot(container);
    root.render(wholePage(names));
  },
  hydrate(name) {
    root = hydrateRoot(container, wholePage([name]));
  },
  retry: () => undefined,
  reduced: [],
  seen: [],
  shown: [],
  provided: {},
  start: () => undefined,
  go: () => undefined,
  held: undefined,
  release: () => undefined,
};
