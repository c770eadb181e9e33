// npm run build [-- package|demo] [--missing]: builds the parts named, or all. `--missing` leaves out what is up to date.
import { build, buildSteps } from "./lib/build-steps.js";
import { endWithChildren } from "./lib/child.js";

const known = new Set(buildSteps.map((step) => step.part));
const args = process.argv.slice(2);
const parts = args.filter((arg) => arg !== "--missing");
const unknown = parts.find((part) => !known.has(/** @type {"package"} */ (part)));

endWithChildren();
if (unknown !== undefined) {
  console.error(`build: there is no part "${unknown}", only ${[...known].join(" and ")}`);
  process.exitCode = 2;
} else {
  const ok = await build({
    parts: parts.length > 0 ? parts : [...known],
    missingOnly: args.includes("--missing"),
  });
  process.exitCode = ok ? 0 : 1;
}
