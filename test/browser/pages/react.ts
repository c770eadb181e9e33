import { useEventStream, useEventStreamEvent, useEventStreamStatus, useSSE } from "everstream/react";
import { createElement, type FunctionComponent, StrictMode, useEffect, useState, version } from "react";
import { createRoot, hydrateRoot, type Root } from "react-dom/client";

/** What the tests read and do, on `window.app`. */
export interface TestApp {
  /** Shows the views of these names, and no others. */
  show(...names: string[]): void;
  /** Takes up the server's rendering of the view of this name. */
  hydrate(name: string): void;
  reactVersion: string;
  /** How often the burst was committed to the screen, and how many frames were drawn meanwhile. */
  commits: number;
  frames: number;
  /** What the burst's reducer and its `onEvent` were given. */
  reduced: string[];
  seen: string[];
  rerender(): void;
  /** What listeners heard, and how often their component was committed. */
  heard: string[];
  listenerCommits: number;
  /** How often the component with a selection was committed. */
  selectedCommits: number;
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
  return show("idle", [useSSE(null), useSSE(undefined as unknown as null)]);
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

function Once() {
  const { data, isConnected } = useSSE<unknown>("/stream", { reconnect: false });
  return show("once", { data, isConnected });
}

function Listener() {
  const [round, setRound] = useState(0);
  useEventStreamEvent("/stream", ({ type, data }) => app.heard.push(`all ${type} ${data} ${round}`));
  useEventStreamEvent("/stream", "tick", ({ data }) => app.heard.push(`tick ${data} ${round}`));
  useEventStreamEvent("/stream", () => app.heard.push("disabled"), { enabled: false });
  useEffect(() => {
    app.listenerCommits++;
    app.rerender = () => setRound((before) => before + 1);
  });
  return show("listener", round);
}

/** Hears of one room, then of the next one. */
function Room({ id = "room" }: { id?: string }) {
  const [room, setRoom] = useState(1);
  useEventStreamEvent(`/stream?${room}`, ({ data }) => app.heard.push(`${data} by ${id} in ${room}`));
  return createElement("button", { id, type: "button", onClick: () => setRoom(room + 1) }, room);
}

/** How many have come, in tens: new objects each time, equal by value. */
function Selected() {
  const { data, status } = useEventStream("/stream", {
    initial: 0,
    reduce: (count) => count + 1,
    select: (count) => ({ tens: Math.floor(count / 10) }),
    equals: (a, b) => a.tens === b.tens,
  });
  useEffect(() => {
    app.selectedCommits++;
  });
  return show("selected", { tens: data.tens, state: status.state });
}

/** The same request in two orders. */
function Orders() {
  const a = useEventStreamStatus({ url: "/stream", headers: { "x-a": "1", "x-b": "2" } });
  const b = useEventStreamStatus({ headers: { "x-b": "2", "x-a": "1" }, url: "/stream", body: undefined });
  return show("orders", [a.state, b.state]);
}

function Reopen() {
  const { data, status, reopen } = useEventStream("/stream", {
    initial: "",
    reduce: (all, { data }) => all + data,
  });
  return createElement(
    "button",
    { id: "reopen", type: "button", onClick: reopen },
    `${data} ${status.state}`,
  );
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

/** A text that the server has rendered up to some event. */
function Continued() {
  const request = { url: "/stream", initialLastEventId: "7" };
  const reduce = (all: string, { data }: { readonly data: string }) => all + data;
  return show("continued", useEventStream(request, { initial: "from the server, ", reduce }).data);
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
  once: Once,
  listener: Listener,
  selected: Selected,
  room: () => createElement(Room),
  elsewhere: () => createElement(Room, { id: "elsewhere" }),
  orders: Orders,
  reopen: Reopen,
  route: Route,
  continued: Continued,
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
  hydrate(name) {
    root = hydrateRoot(container, createElement(StrictMode, null, createElement(App, { names: [name] })));
  },
  reactVersion: version,
  commits: 0,
  frames: 0,
  reduced: [],
  seen: [],
  rerender: () => undefined,
  heard: [],
  listenerCommits: 0,
  selectedCommits: 0,
};

const count = (): void => {
  app.frames++;
  requestAnimationFrame(count);
};
requestAnimationFrame(count);
