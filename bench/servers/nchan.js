import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pinned } from "../lib/machine.js";
import { NCHAN_MODULE, nginx } from "../lib/nchan.js";
import { host } from "./host.js";
import { portOf } from "./listen.js";

// Nchan, an nginx module in C: one worker, its own memory store. This process only publishes to it, each event with a
// POST on a kept connection, and runs on the generator's core: at some hundred requests a second it costs little.

/** What /proc counts in: Linux tells programs of 100 ticks a second, whatever its own clock. */
const TICK_US = 10_000;

const folder = mkdtempSync(join(tmpdir(), "everstream-nchan-"));
chmodSync(folder, 0o755);
/** @type {import("node:child_process").ChildProcess | undefined} */
let server;
let port = 0;

process.once("exit", () => {
  server?.kill("SIGTERM");
  rmSync(folder, { recursive: true, force: true });
});

/** @param {number} port */
const config = (port) => `
load_module ${NCHAN_MODULE};
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid ${folder}/pid;
error_log ${folder}/error.log crit;
events { worker_connections 19000; }
http {
  access_log off;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  nchan_shared_memory_size 256m;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location = /events {
      nchan_subscriber eventsource;
      nchan_channel_id $arg_topics;
      nchan_subscriber_first_message newest;
    }
    location = /publish {
      nchan_publisher;
      nchan_channel_id $arg_topic;
      nchan_message_buffer_length 1000;
      nchan_message_timeout 1m;
    }
  }
}`;

/** @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.listen(0, "127.0.0.1", () => {
      const free = portOf(probe);
      probe.close(() => resolve(free));
    });
  });
}

const agent = new Agent({ keepAlive: true, maxSockets: 1 });

/** @param {string} path @param {string} [body] @returns {Promise<number>} the status */
function post(path, body = "") {
  return new Promise((resolve, reject) => {
    const headers = { "X-EventSource-Event": "tick", "Content-Length": Buffer.byteLength(body) };
    request({ host: "127.0.0.1", port, path, method: "POST", agent, headers }, (response) => {
      response.resume().once("end", () => resolve(response.statusCode ?? 0));
    })
      .once("error", reject)
      .end(body);
  });
}

async function listen() {
  port = await freePort();
  const file = join(folder, "nginx.conf");
  writeFileSync(file, config(port));
  const [command, args] = pinned("server", /** @type {string} */ (nginx()), ["-p", folder, "-c", file]);
  server = spawn(command, args, { stdio: ["ignore", "ignore", "inherit"] });
  for (let tries = 0; ; tries++) {
    try {
      await post("/publish?topic=greeting");
      return port;
    } catch (error) {
      if (tries === 200 || server.exitCode !== null) throw error;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
}

async function close() {
  if (server === undefined || server.exitCode !== null) return;
  const gone = once(server, "exit");
  server.kill("SIGTERM");
  await gone;
}

/** Of the one worker. */
function cpuUs() {
  const master = server?.pid;
  const [worker] = readFileSync(`/proc/${master}/task/${master}/children`, "utf8").trim().split(" ");
  const fields = readFileSync(`/proc/${worker}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * TICK_US;
}

await host({
  listen,
  async publish(data, topic) {
    const status = await post(`/publish?topic=${topic}`, JSON.stringify(data));
    if (status >= 300) throw new Error(`Nchan refused an event with ${status}`);
  },
  pressesBack: true,
  cpuUs,
  close,
});
