// npm start: builds what is missing or older than its sources, then runs the reference application.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "./lib/build-steps.js";
import { endWithChildren, root } from "./lib/child.js";

if (!existsSync(join(root, "node_modules/typescript"))) {
  console.error("start: the tools that build everstream are not installed. Run `npm ci` first.");
  process.exit(1);
}

const stopPassingOn = endWithChildren();
/** @param {string} names */
const announce = (names) => console.log(`start: building first, which takes a moment: ${names}`);
if (!(await build({ missingOnly: true, announce }))) process.exit(1);
stopPassingOn();

// In this very process, so that signals reach the server and its exit code is ours, with nothing in between.
await import(pathToFileURL(join(root, "demo/dist/server/main.js")).href);
