// The runner behind `npm test`: whatever goes wrong in a run must end in its count, or a broken run would look green.
import { describe, expect, it } from "vitest";
import { runChild } from "../../scripts/lib/child.js";
import { countOutcome } from "../../scripts/lib/vitest-run.js";
import { root } from "../setup/repository.ts";

const file = (status: string, ...tests: string[]) => ({
  name: `${root}test/a.test.ts`,
  status,
  assertionResults: tests.map((test, index) => ({ fullName: `test ${index}`, status: test })),
});

describe("counting a test run", () => {
  it("adds up the tests of all files", () => {
    const files = [file("passed", "passed", "passed"), file("failed", "failed", "passed")];
    expect(countOutcome(files, 1)).toMatchObject({ passed: 3, failed: 1, skipped: [], notes: [] });
  });

  it("names each failed test, with the beginning of what went wrong", () => {
    const failed = file("failed", "passed", "failed");
    const [, test] = failed.assertionResults;
    Object.assign(test as object, { failureMessages: [`Error: no\n${"at somewhere\n".repeat(100)}`] });
    const { failures } = countOutcome([failed], 1);
    expect(failures).toHaveLength(1);
    expect(failures[0]).toMatch(/^test\/a\.test\.ts: test 1\n {4}Error: no\n/);
    expect(failures[0]?.split("\n")).toHaveLength(9);
  });

  it("counts a file that failed outside its tests", () => {
    const { passed, failed, notes } = countOutcome([file("passed", "passed"), file("failed")], 1);
    expect({ passed, failed }).toEqual({ passed: 1, failed: 1 });
    expect(notes).toEqual(["test/a.test.ts failed outside its tests"]);
  });

  it("counts an exit code that no test explains: an unhandled error, a lost worker", () => {
    expect(countOutcome([file("passed", "passed")], 1)).toMatchObject({ passed: 1, failed: 1 });
  });

  it("tells of errors that belong to no test", () => {
    const { failed, notes } = countOutcome([file("passed", "passed")], 1, ["Error: nobody's\n    at x"]);
    expect(failed).toBe(1);
    expect(notes[1]).toBe("unhandled error\n    Error: nobody's\n        at x");
  });

  it("counts a run that left no report", () => {
    expect(countOutcome(undefined, 0)).toMatchObject({ passed: 0, failed: 1 });
  });

  it("names what was skipped", () => {
    const { skipped } = countOutcome([file("passed", "passed", "skipped", "todo")], 0);
    expect(skipped).toEqual(["test/a.test.ts: test 1", "test/a.test.ts: test 2"]);
  });
});

describe("running a command", () => {
  it("gives the exit code and what was written", async () => {
    const code = `console.log("out"); console.error("err"); process.exit(3)`;
    expect(await runChild(process.execPath, ["-e", code])).toEqual({ code: 3, output: "out\nerr\n" });
  });

  it("ends with a code where the command can't be started", async () => {
    const { code, output } = await runChild("everstream-no-such-command", []);
    expect(code).toBe(127);
    expect(output).toContain("ENOENT");
  });

  it("kills a command that takes too long, and all that it started", async () => {
    const code = `require("child_process").spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "inherit" })`;
    const result = await runChild(process.execPath, ["-e", `${code}; setInterval(() => {}, 1000)`], {
      timeoutMs: 500,
    });
    expect(result.code).toBe(137);
    expect(result.output).toContain("killed after 500 ms");
  });

  it("ends although the command left a process behind that holds its output", async () => {
    const code = `require("child_process").spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "inherit" }).unref()`;
    expect(await runChild(process.execPath, ["-e", code])).toEqual({ code: 0, output: "" });
  });
});
