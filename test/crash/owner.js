// Opens the log in a folder and stays; says how that went.
import { writeSync } from "node:fs";
import { createHub } from "everstream";
import { lmdbLog } from "everstream/lmdb";

const hub = createHub({ log: lmdbLog({ path: String(process.argv[2]) }) });
try {
  await hub.position();
  writeSync(1, "open\n");
} catch (error) {
  const { code, message } = /** @type {{ code: string, message: string }} */ (error);
  writeSync(1, `${code}: ${message}\n`);
  process.exit();
}
// A hub alone does not keep a process alive.
setInterval(() => undefined, 60_000);
