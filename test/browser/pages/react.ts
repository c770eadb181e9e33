import { useEventStream, useEventStreamStatus, useSSE } from "everstream/react";
import { createElement, type FunctionComponent, StrictMode, useEffect, useState } from "react";
import { createRoot, hydrateRoot, type Root } from "react-dom/client";

/** What the tests read and do, on `window.app`. */
export interface TestApp {
  /** Shows the views of these names, and no others. */
  show(...names: string[]): void;
  hydrate(): void;
  /** How often the burst was committed to the screen, and how many frames were drawn meanwhile. */
  commits: number;
  frames: number;
  /** What the burst's reducer and its `onEvent` were given. */
  reduced: string[];
  seen: string[];
  rerender(): void;
}

declare global {
  var app: TestApp;
}

const show = (id: string, value: unknown) => createElement("p", { id }, JSON.stringify(value));

function Clock({ id = "clock" }: { id?: string }) {
  const { data, error, isConnected } = useSSE<unknown>("/stream");
  return show(id, { data, error: error?.message ?? null, isConnected });
}

function Idle() {
  return show("idle", useSSE(null));
}

function Status() {
  return show("status", useEventStreamStatus("/stream").state);
}

function Burst() {
  const { data } = useEventStream("/stream", {
    initial: 0,
    reduce: (count, { data }) => {
      app.reduced.push(data);
      return count + 1;
    },
    onEvent: ({ data }) => app.seen.push(data),
  });
  useEffect(() => {
    app.commits++;
  });
  return show("burst", data);
}

/** Everything written in place, new at each rendering. */
function Inline() {
  const [round, setRound] = useState(0);
  const { data, status } = useEventStream(
    { url: "/stream", method: "GET", headers: { "x-name": "inline" } },
    { initial: [] as string[], reduce: (all, { data }) => [...all, `${data} in round ${round}`] },
  );
  useEffect(() => {
    app.rerender = () => setRound((before) => before + 1);
  });
  return show("inline", { data, round, state: status.state });
}

function Switch() {
  const [enabled, setEnabled] = useState(true);
  const { data, status } = useEventStream("/stream", {
    initial: "",
    reduce: (all, { data }) => all + data,
    enabled,
  });
  const onClick = () => setEnabled(!enabled);
  return createElement("button", { id: "switch", type: "button", onClick }, `${data} ${status.state}`);
}

/** Three routes, the last of which has no stream. */
function Route() {
  const [route, setRoute] = useState(1);
  const { data, isConnected } = useSSE(route < 3 ? `/stream?route=${route}` : null);
  const onClick = () => setRoute(route + 1);
  return createElement("button", { id: "route", type: "button", onClick }, `${data} ${isConnected}`);
}

const views: Readonly<Record<string, FunctionComponent>> = {
  clock: () => createElement(Clock),
  other: () => createElement(Clock, { id: "other" }),
  idle: Idle,
  status: Status,
  burst: Burst,
  inline: Inline,
  switch: Switch,
  route: Route,
};

function App({ names }: { names: readonly string[] }) {
  const shown = names.map((name) => [name, views[name]] as const);
  return shown.map(([name, view]) => view && createElement(view, { key: name }));
}

const container = document.getElementById("root") as HTMLElement;
let root: Root | undefined;

globalThis.app = {
  show(...names) {
    root ??= createRoot(container);
    root.render(createElement(StrictMode, null, createElement(App, { names })));
  },
  hydrate() {
    root = hydrateRoot(container, createElement(StrictMode, null, createElement(Clock)));
  },
  commits: 0,
  frames: 0,
  reduced: [],
  seen: [],
  rerender: () => undefined,
};

const count = (): void => {
  app.frames++;
  requestAnimationFrame(count);
};
requestAnimationFrame(count);
