import { type Browser, chromium } from "playwright-core";
import { programPath } from "../setup/programs.ts";

/** Starts the Chromium that is installed here, without a window. The caller closes it. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: programPath("chromium"),
    // Containers seldom allow its sandbox; and nothing but the tests may use the network.
    args: ["--no-sandbox", "--disable-background-networking"],
  });
}
