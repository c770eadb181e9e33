import { findProgram, needs } from "../../scripts/lib/needs.js";

/** Where a program is that tests need, by its name among the needs. Throws where it is not installed. */
export function programPath(name: string): string {
  const need = needs.find((known) => known.name === name);
  const path = need && findProgram(need);
  if (path === undefined)
    throw new Error(`no ${name} found: install it, or set ${need?.variable} to its executable`);
  return path;
}
