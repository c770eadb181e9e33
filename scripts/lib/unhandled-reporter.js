import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** A reporter of vitest's that keeps what its JSON report lacks: errors that belong to no test. */
export default class UnhandledReporter {
  /**
   * @param {unknown} _modules
   * @param {readonly { stack?: string, message?: string, VITEST_TEST_PATH?: string }[]} errors
   */
  onTestRunEnd(_modules, errors) {
    const path = process.env.EVERSTREAM_UNHANDLED;
    if (path === undefined) return;
    const texts = errors.map(({ stack, message, VITEST_TEST_PATH: file }) =>
      [file === undefined ? "" : `while ${file} ran: `, stack ?? message].join(""),
    );
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, JSON.stringify(texts));
  }
}
