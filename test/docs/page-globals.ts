import { onTestFinished, vi } from "vitest";

const RealRequest = Request;
const realFetch = fetch;

/** Globals that know a page's address, as a browser's do; and what the example writes to its console. */
export function browserAt(base: string): { declared: Record<string, unknown>; lines: unknown[][] } {
  const lines: unknown[][] = [];
  for (const method of ["log", "warn", "error"] as const) {
    const spy = vi.spyOn(console, method).mockImplementation((...line: unknown[]) => void lines.push(line));
    onTestFinished(() => spy.mockRestore());
  }
  class PageRequest extends RealRequest {
    constructor(url: string, init?: RequestInit) {
      super(new URL(url, base), init);
    }
  }
  const declared = {
    Request: PageRequest,
    fetch: (url: string, init?: RequestInit) => realFetch(new URL(url, base), init),
  };
  return { declared, lines };
}
