// The page of use-run.test.ts: a run, shown by a component that can be given another id, unmounted and mounted again.
import { EverstreamProvider, useRun } from "everstream/react";
import { createElement, StrictMode, useState, version } from "react";
import { createRoot } from "react-dom/client";

declare global {
  var runPage: {
    readonly reactVersion: string;
    /** Shows the component, or takes it away, with this option. */
    show(id: string | null | undefined, isThere?: boolean): void;
    start(id: string): void;
    stop(): Promise<void>;
  };
}

function Chat({ id }: { readonly id: string | null | undefined }) {
  const { run, status, isRunning, start, stop } = useRun("/runs", { id, minDelay: 1 });
  runPage.start = (name) => void start({ id: name, input: { question: name } });
  runPage.stop = stop;
  const shown = [run?.id ?? null, run?.state ?? null, run?.text ?? null, isRunning, status.state];
  return createElement("p", { id: "run" }, JSON.stringify(shown));
}

function App() {
  const [{ id, isThere }, setState] = useState({ id: undefined as string | null | undefined, isThere: true });
  runPage.show = (next, there = true) => setState({ id: next, isThere: there });
  // What holds for streams alone must not reach runs.
  return createElement(
    EverstreamProvider,
    { share: true, resume: "never" },
    isThere && createElement(Chat, { id }),
  );
}

globalThis.runPage = {
  reactVersion: version,
  show: () => undefined,
  start: () => undefined,
  stop: () => Promise.resolve(),
};
createRoot(document.getElementById("root") as HTMLElement).render(
  createElement(StrictMode, null, createElement(App)),
);
