import { inject } from "vitest";
import type { Packed } from "./packed.ts";

/** The packed package that the global setup made. Throws where there is none. */
export function packed(): Packed {
  const found = inject("packed");
  if (found === null) throw new Error("the package does not build, see the top of this run's output");
  return found;
}
