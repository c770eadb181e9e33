// What `scripts/lib/program.js` starts ends with the process that started it, however that ends.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";

const STARTER = fileURLToPath(new URL("starter.js", import.meta.url));

/** Counts the programs that are there, by the connection that each of them keeps. */
async function startCensus() {
  const living = new Set<Socket>();
  const server = createServer((socket) => {
    living.add(socket);
    socket.once("close", () => living.delete(socket)).on("error", () => undefined);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of living) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const program = (atTerm: string): string =>
    `process.on("SIGTERM", () => ${atTerm});
    net.connect(${port}, "127.0.0.1", () => console.log("ready")).on("close", () => process.exit());`;
  return { living, program };
}

/** `process.exit()` is what a program does that ends when it is asked to. */
it.each([
  ["SIGHUP", "process.exit()"],
  ["SIGTERM", "process.exit()"],
  ["SIGKILL", "undefined"],
] as const)("also where %s ends it, and they do `%s` at SIGTERM", async (signal, atTerm) => {
  const { living, program } = await startCensus();
  const args = [STARTER, program("process.exit()"), program(atTerm)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  await once(child.stdout, "data");
  await expect.poll(() => living.size).toBe(2);
  child.kill(signal);
  await expect.poll(() => living.size).toBe(0);
});
