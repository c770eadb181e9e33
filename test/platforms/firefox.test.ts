// The client's core in Firefox.
import { describeBrowser } from "./browser-suite.ts";
import { openFirefox } from "./browsers.ts";

describeBrowser("Firefox", openFirefox, { readsAhead: true });
