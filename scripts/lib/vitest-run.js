import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { root, runTool } from "./child.js";

/**
 * What is read of vitest's JSON report.
 *
 * @typedef {object} FileReport
 * @property {string} name
 * @property {string} status
 * @property {{ fullName: string, status: string, failureMessages?: string[] }[]} assertionResults
 *
 * @typedef {object} Outcome
 * @property {number} passed
 * @property {number} failed
 * @property {string[]} skipped Tests that exist and did not run.
 * @property {string[]} failures The failed tests, each with the first lines of what went wrong.
 * @property {string[]} notes Failures that are no failed test.
 */

const UNHANDLED_REPORTER = fileURLToPath(new URL("unhandled-reporter.js", import.meta.url));

/**
 * Runs vitest, shows its output, and counts from its JSON report.
 *
 * @param {{ name: string, args: readonly string[], env?: Record<string, string>, limitMs: number }} options `name` names
 *   the report. After `limitMs` the run is killed: one that hangs must end in a count too.
 * @returns {Promise<Outcome>}
 */
export async function runVitest({ name, args, env = {}, limitMs }) {
  const report = join(root, `artifacts/test/${name}.json`);
  const unhandled = join(root, `artifacts/test/${name}-unhandled.json`);
  mkdirSync(dirname(report), { recursive: true });
  for (const path of [report, unhandled]) rmSync(path, { force: true });
  const reporters = ["default", "json", UNHANDLED_REPORTER].map((reporter) => `--reporter=${reporter}`);
  const { code } = await runTool(
    "vitest/vitest.mjs",
    ["run", ...reporters, `--outputFile.json=${report}`, ...args],
    { env: { ...env, EVERSTREAM_UNHANDLED: unhandled }, show: true, timeoutMs: limitMs },
  );
  return countOutcome(readJson(report)?.testResults, code, readJson(unhandled));
}

/**
 * Failed tests are counted one by one. A file that failed without a failed test (it did not load, a hook threw) counts as
 * one, and so does a run that failed for neither reason: an unhandled error, a worker that crashed, no report at all.
 *
 * @param {FileReport[] | undefined} files
 * @param {number} code vitest's exit code.
 * @param {readonly string[]} [unhandled] The errors that belong to no test.
 * @returns {Outcome}
 */
export function countOutcome(files, code, unhandled = []) {
  /** @type {Outcome} */
  const outcome = { passed: 0, failed: 0, skipped: [], failures: [], notes: [] };
  for (const file of files ?? []) {
    const before = outcome.failed;
    for (const test of file.assertionResults) {
      const name = `${file.name.replace(root, "")}: ${test.fullName}`;
      if (test.status === "passed") outcome.passed++;
      else if (test.status !== "failed") outcome.skipped.push(name);
      else {
        outcome.failed++;
        outcome.failures.push(`${name}\n${firstLines(test.failureMessages ?? [])}`);
      }
    }
    if (file.status === "failed" && outcome.failed === before) {
      outcome.failed++;
      outcome.notes.push(`${file.name.replace(root, "")} failed outside its tests`);
    }
  }
  if (files === undefined) {
    outcome.failed++;
    outcome.notes.push(`vitest ended with code ${code} and left no report`);
  } else if (code !== 0 && outcome.failed === 0) {
    outcome.failed++;
    outcome.notes.push(
      `vitest ended with code ${code} though no test failed: an unhandled error or a lost worker`,
    );
  }
  for (const error of unhandled) outcome.notes.push(`unhandled error\n${firstLines([error])}`);
  return outcome;
}

/** @param {string[]} messages */
function firstLines(messages) {
  const lines = messages.join("\n").split("\n").slice(0, 8);
  return lines.map((line) => `    ${line.slice(0, 300)}`).join("\n");
}

/** @param {string} path */
function readJson(path) {
  if (!existsSync(path)) return undefined;
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    // Killed while writing: as good as none.
    return undefined;
  }
}
