// A redis-server of one's own in a folder, which keeps every write before it answers. Two must never write to one folder: the
// folder says on which port its server listens, and that port can be had once.
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { linkSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createClient } from "@redis/client";
import { startProgram } from "./program.js";

const HOST = "127.0.0.1";
/** How long the server of an earlier start may take to end: its guard gives it a little less. */
const WAIT_MS = 10_000;
const RETRY_MS = 250;
/** Who does not say so soon what it is may be a server of ours that stands still. */
const ANSWER_MS = 5000;

/**
 * Starts it. Where a server from an earlier start is about to end, waits for that.
 *
 * @param {object} options
 * @param {string} options.program
 * @param {string} options.folder Made where it is missing.
 * @param {number} [options.waitMs] How long to wait for another server's end.
 * @param {boolean} [options.samePort] Somebody knows its port: no other one will do, though another program may have taken it.
 * @param {(text: string) => void} [options.say]
 * @returns {Promise<{ server: import("./program.js").Program, port: number }>}
 * @throws Error where another server has the folder, or can't be asked whether it does.
 */
export async function startRedis({ program, folder, samePort = false, waitMs = WAIT_MS, say = console.log }) {
  mkdirSync(folder, { recursive: true });
  let port = readPort(folder) ?? claimPort(folder, await freePort());
  const late = performance.now() + waitMs;
  let isSaid = false;
  for (;;) {
    try {
      return { port, server: await start(program, folder, port) };
    } catch (error) {
      if (!/Address already in use/.test(String(error))) throw error;
    }
    const owner = await whoListens(port, folder);
    const isLate = performance.now() >= late;
    if (owner === "silent") {
      throw new Error(
        `something that does not answer has the port ${port}, and may be a redis-server that stands still with ${folder} open. ` +
          `End it, or set DATA_DIR to another folder.`,
      );
    }
    if (owner === "other" || (owner === "nobody" && isLate)) {
      if (samePort) throw new Error(`another program has taken the port ${port}.`);
      port = replacePort(folder, await freePort());
      continue;
    }
    if (isLate) {
      throw new Error(
        `a redis-server, process ${owner}, has ${folder} open: another start:cluster is there, or has left it behind. ` +
          "End it, or set DATA_DIR to another folder.",
      );
    }
    if (owner !== "nobody" && !isSaid) say(`waiting for an earlier redis-server, process ${owner}, to end`);
    isSaid ||= owner !== "nobody";
    await delay(RETRY_MS);
  }
}

/** @param {string} program @param {string} folder @param {number} port */
function start(program, folder, port) {
  const args = ["--port", String(port), "--bind", HOST, "--dir", folder, "--save", ""];
  args.push("--appendonly", "yes", "--appendfsync", "always");
  return startProgram("redis", program, args, { ready: /Ready to accept connections/, quiet: true });
}

/**
 * Who listens on a port: the process number of a redis-server that has the folder, or what else there is.
 *
 * @param {number} port
 * @param {string} folder
 * @returns {Promise<number | "nobody" | "silent" | "other">}
 */
async function whoListens(port, folder) {
  const client = createClient({
    socket: { host: HOST, port, reconnectStrategy: false, connectTimeout: ANSWER_MS },
  });
  client.on("error", () => undefined); // Each call says so, too.
  const ask = async () => {
    await client.connect();
    const { dir } = await client.configGet("dir");
    const pid = Number(/^process_id:(\d+)/m.exec(await client.info("server"))?.[1]);
    return dir === realpathSync(folder) ? pid : "other";
  };
  const failed = (/** @type {any} */ error) => {
    if (error?.code === "ECONNREFUSED") return "nobody";
    return error?.name === "ConnectionTimeoutError" ? "silent" : "other";
  };
  try {
    return await Promise.race([
      ask().catch(failed),
      delay(ANSWER_MS, /** @type {const} */ ("silent"), { ref: false }),
    ]);
  } finally {
    if (client.isOpen) client.destroy();
  }
}

/** @param {string} folder */
function readPort(folder) {
  try {
    const port = Number(readFileSync(join(folder, "port"), "utf8"));
    return port > 0 && port < 65_536 ? port : undefined;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Gives a folder its port, or, where another process was first, learns that one's. @param {string} folder @param {number} port */
function claimPort(folder, port) {
  const fresh = writePort(folder, port);
  try {
    // Written whole before it gets its name, which is only given once.
    linkSync(fresh, join(folder, "port"));
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== "EEXIST") throw error;
    return readPort(folder) ?? replacePort(folder, port);
  } finally {
    rmSync(fresh, { force: true });
  }
  return port;
}

/** @param {string} folder @param {number} port */
function replacePort(folder, port) {
  renameSync(writePort(folder, port), join(folder, "port"));
  return port;
}

/** @param {string} folder @param {number} port */
function writePort(folder, port) {
  const fresh = join(folder, `port.${randomUUID()}.tmp`);
  writeFileSync(fresh, String(port));
  return fresh;
}

async function freePort() {
  const server = createServer().listen(0, HOST);
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return address !== null && typeof address === "object" ? address.port : 0;
}
