// A process that starts programs, says so, and waits for its end.
import { startProgram } from "../../scripts/lib/program.js";

for (const [index, code] of process.argv.slice(2).entries()) {
  await startProgram(`program ${index}`, process.execPath, ["-e", code], { ready: /ready/ });
}
console.log("all are there");
setInterval(() => undefined, 1000);
