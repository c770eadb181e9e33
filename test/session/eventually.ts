import { vi } from "vitest";

/** Resolves as soon as `check` passes, however busy the machine is. */
export function eventually(check: () => void | Promise<void>): Promise<void> {
  return vi.waitFor(check, { timeout: 20_000, interval: 5 });
}

/** Resolves as soon as `condition` holds, however busy the machine is. */
export function until(condition: () => boolean): Promise<boolean> {
  return vi.waitUntil(condition, { timeout: 20_000, interval: 1 });
}
