// npm test: everything that proves this checkout, in one command, closed by one line that counts it.
// npm test -- <arguments>: only vitest, with these arguments (a path, `-t <name>`, `--project browser`).
import { build } from "./lib/build-steps.js";
import { endWithChildren, runTool } from "./lib/child.js";
import { meetNeeds } from "./lib/needs.js";
import { runVitest } from "./lib/vitest-run.js";

const CHECKS = [
  { name: "lint", script: "@biomejs/biome/bin/biome", args: ["check", "--error-on-warnings"] },
  { name: "types", script: "typescript/bin/tsc", args: ["-p", "tsconfig.json"] },
  { name: "unused code", script: "knip/bin/knip.js", args: ["--no-progress"] },
];
/** With the time that each may take, which only a test that hangs needs: several times what it takes on two cores. */
const PROJECTS = [
  // On two cores vitest itself would take one.
  { project: "source", limitMs: 900_000, args: ["--maxWorkers=2"] },
  // These wait for servers more than they compute.
  { project: "brokers", limitMs: 900_000, args: ["--maxWorkers=3"] },
  { project: "package", limitMs: 900_000 },
  // So do these; and each file has a browser, which takes memory.
  { project: "browser", limitMs: 1_200_000, args: ["--maxWorkers=2"] },
];

/** What is told of a failed check once more at the end. */
const OUTPUT_LINES = 20;

const inCi = !["", "0", "false"].includes(process.env.CI ?? "");
const total = { passed: 0, failed: 0 };
/** What failed, told once more at the end: what comes before may be thousands of lines. @type {string[]} */
const failures = [];

endWithChildren();
const args = process.argv.slice(2);
if (args.length > 0) await runSome(args);
else await runAll();
for (const failure of failures) console.log(`\nfailed: ${failure}`);
console.log(`\n${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 ? 0 : 1;

/** @param {readonly string[]} vitestArgs */
async function runSome(vitestArgs) {
  const { env } = await meetNeeds();
  count("tests", await runVitest({ name: "some", args: vitestArgs, env, limitMs: 600_000 }));
}

async function runAll() {
  const { env, notRun } = await meetNeeds();
  for (const check of CHECKS) await runCheck(check);
  countOne("build", await build({ missingOnly: true }));

  const excluded = notRun.flatMap(({ file }) => ["--exclude", file]);
  // A project of which nothing is left is no failure of its own; what was left out is reported below.
  const allowEmpty = excluded.length > 0 ? ["--passWithNoTests"] : [];
  const skipped = [];
  for (const { project, limitMs, args: more = [] } of PROJECTS) {
    console.log(`\ntests: ${project}`);
    const projectArgs = ["--project", project, ...more, ...excluded, ...allowEmpty];
    const outcome = await runVitest({ name: project, args: projectArgs, env, limitMs });
    count(`tests: ${project}`, outcome);
    skipped.push(...outcome.skipped);
  }
  reportNotRun([...notRun.map(({ file, need }) => `${file} (needs ${need})`), ...skipped]);
}

/** @param {{ name: string, script: string, args: readonly string[] }} check */
async function runCheck({ name, script, args: checkArgs }) {
  const { code, output } = await runTool(script, checkArgs);
  if (code !== 0) console.log(output.trim());
  countOne(name, code === 0, output);
}

/**
 * @param {string} name
 * @param {boolean} ok
 * @param {string} [output]
 */
function countOne(name, ok, output = "") {
  console.log(`${name}: ${ok ? "passed" : "FAILED"}`);
  if (ok) {
    total.passed++;
    return;
  }
  total.failed++;
  failures.push([name, ...output.trim().split("\n").slice(0, OUTPUT_LINES)].join("\n    "));
}

/**
 * @param {string} name
 * @param {import("./lib/vitest-run.js").Outcome} outcome
 */
function count(name, { passed, failed, failures: named, notes }) {
  for (const note of notes) console.log(`${name}: ${note}`);
  console.log(`${name}: ${passed} passed, ${failed} failed`);
  failures.push(...named, ...notes);
  total.passed += passed;
  total.failed += failed;
}

/** What did not run proves nothing. On a developer's machine that is worth a line; in CI it is a failure. @param {string[]} names */
function reportNotRun(names) {
  if (names.length === 0) return;
  console.log("");
  for (const name of names) console.log(`not run: ${name}`);
  if (inCi) total.failed += names.length;
}
