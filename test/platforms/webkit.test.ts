// The client's core in WebKit.
import { describeBrowser } from "./browser-suite.ts";
import { openWebKit } from "./browsers.ts";

describeBrowser("WebKit", openWebKit, { readsAhead: true });
