// Ends what was started beside it when the process that started it is gone, however that ended: a process that is killed
// can't clean up. It is told by lines on its input, `+<process number>` and `-<process number>`, and that is at its end then.
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";

/** How long they may take to end in good order. */
const STOP_MS = 8000;
const LOOK_MS = 50;

/** In the order in which they were started: what comes later may need what came before. @type {Set<number>} */
const pids = new Set();

for await (const line of createInterface({ input: process.stdin })) {
  const pid = Number(line.slice(1));
  if (line.startsWith("+")) pids.add(pid);
  else pids.delete(pid);
}

for (const pid of [...pids].reverse()) send(pid, "SIGTERM");
const late = performance.now() + STOP_MS;
while ([...pids].some((pid) => send(pid, 0)) && performance.now() < late) await delay(LOOK_MS);
for (const pid of pids) send(pid, "SIGKILL");

/** Whether the process is there. @param {number} pid @param {NodeJS.Signals | 0} signal */
function send(pid, signal) {
  try {
    return process.kill(pid, signal);
  } catch {
    // It has ended: that is what this is for.
    return false;
  }
}
