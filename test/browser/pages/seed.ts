import { useSSE } from "everstream/react";
import { createElement, StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { useSSE as useSampleSSE } from "../../seed/samples/hook.ts";

/** What the tests do, and what came of it, on `window.seed`. */
export interface SeedPage {
  /** Runs the usage of the token client: with the sample's own function, or with the package's. */
  ask(by: "sample" | "package"): Promise<void>;
  /** Shows the hook's clock by the sample's own hook, and by the package's. */
  showClocks(): void;
  readonly updates: string[];
  readonly lines: unknown[][];
}

declare global {
  var seed: SeedPage;
  /** What the sample leaves to its application. */
  var updateUI: (content: string) => void;
}

const updates: string[] = [];
const lines: unknown[][] = [];
globalThis.updateUI = (content) => updates.push(content);
for (const name of ["log", "error"] as const) {
  console[name] = (...values) => {
    lines.push([name, ...values.map((value) => (value instanceof Error ? value.message : value))]);
  };
}

type Hook = typeof useSSE<{ time: number }>;

function Clock({ id, hook }: { id: string; hook: Hook }) {
  const { data, error, isConnected } = hook("/stream/events");
  return createElement("p", { id }, JSON.stringify({ time: data?.time, error: error?.message, isConnected }));
}

globalThis.seed = {
  updates,
  lines,
  ask: async (by) => {
    if (by === "sample") await import("../../seed/samples/event-source.ts");
    else await import("../../seed/samples/token-client.ts");
  },
  showClocks: () => {
    const sample = createElement(Clock, { id: "sample", hook: useSampleSSE as Hook });
    const own = createElement(Clock, { id: "package", hook: useSSE });
    createRoot(document.getElementById("root") as HTMLElement).render(
      createElement(StrictMode, null, sample, own),
    );
  },
};
