// The client's core in Chromium.
import { describeBrowser } from "./browser-suite.ts";
import { openChromium } from "./browsers.ts";

describeBrowser("Chromium", openChromium);
