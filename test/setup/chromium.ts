import { findProgram, needs } from "../../scripts/lib/needs.js";

/** The Chromium that browser tests drive: `CHROMIUM_PATH`, else the first on PATH. Throws where there is none. */
export function chromiumPath(): string {
  const need = needs.find(({ name }) => name === "chromium");
  const path = need && findProgram(need);
  if (path === undefined)
    throw new Error("no Chromium found: install it, or set CHROMIUM_PATH to its executable");
  return path;
}
