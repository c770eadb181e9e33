// Real browsers of three engines, each with one page open.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { launch } from "puppeteer-core";
import { launchChromium } from "../browser/chromium.ts";
import { programPath } from "../setup/programs.ts";

export interface OpenBrowser {
  close(): Promise<void>;
}

export async function openChromium(url: string): Promise<OpenBrowser> {
  const browser = await launchChromium();
  await (await browser.newPage()).goto(url);
  return browser;
}

/** Firefox, by WebDriver BiDi. */
export async function openFirefox(url: string): Promise<OpenBrowser> {
  const browser = await launch({
    browser: "firefox",
    executablePath: programPath("firefox"),
    headless: true,
    // Nothing but the tests may use the network.
    extraPrefsFirefox: {
      "network.captive-portal-service.enabled": false,
      "network.connectivity-service.enabled": false,
      "services.settings.server": "http://127.0.0.1:1/",
    },
  });
  await (await browser.newPage()).goto(url);
  return browser;
}

/** WebKitGTK's MiniBrowser by WebDriver, on a display that nobody sees. */
export async function openWebKit(url: string): Promise<OpenBrowser> {
  const home = await mkdtemp(join(tmpdir(), "everstream-webkit-"));
  const children: ChildProcess[] = [];
  const close = async (): Promise<void> => {
    for (const child of children.reverse()) await stop(child);
    await rm(home, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const display = spawn(
      programPath("Xvfb"),
      ["-displayfd", "3", "-screen", "0", "800x600x24", "-nolisten", "tcp"],
      {
        stdio: ["ignore", "ignore", "ignore", "pipe"],
        detached: true,
      },
    );
    children.push(display);
    const [number] = (await firstOf(display, display.stdio[3] as Readable)) as [Buffer];
    const port = await freePort();
    const driver = spawn(programPath("WebKitWebDriver"), ["--host=127.0.0.1", `--port=${port}`], {
      env: {
        ...process.env,
        DISPLAY: `:${number.toString().trim()}`,
        HOME: home,
        XDG_RUNTIME_DIR: home,
        // It refuses to run as root in its sandbox, as containers do.
        WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: "1",
        GSETTINGS_BACKEND: "memory",
        LIBGL_ALWAYS_SOFTWARE: "1",
      },
      stdio: "ignore",
      detached: true,
    });
    children.push(driver);
    const session = await newSession(`http://127.0.0.1:${port}`, driver);
    await command(`${session}/url`, { url });
    return {
      async close() {
        await fetch(session, { method: "DELETE" }).catch(() => undefined);
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The address of a new session, as soon as the driver listens. */
async function newSession(driver: string, process: ChildProcess): Promise<string> {
  const capabilities = { alwaysMatch: { "webkitgtk:browserOptions": { args: ["--automation"] } } };
  for (let attempt = 0; ; attempt++) {
    try {
      const { sessionId } = (await command(`${driver}/session`, { capabilities })) as { sessionId: string };
      return `${driver}/session/${sessionId}`;
    } catch (error) {
      const isStarting = error instanceof TypeError && process.exitCode === null && attempt < 200;
      if (!isStarting) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** A command of WebDriver, and its value. */
async function command(url: string, body: unknown): Promise<unknown> {
  const response = await fetch(url, { method: "POST", body: JSON.stringify(body) });
  const { value } = (await response.json()) as { value: unknown };
  if (!response.ok) throw new Error(`${url}: ${JSON.stringify(value)}`);
  return value;
}

function firstOf(child: ChildProcess, stream: Readable): Promise<unknown> {
  const failed = once(child, "exit").then(() => {
    throw new Error(`${child.spawnfile} ended at once`);
  });
  return Promise.race([once(stream, "data"), failed]);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Ends a child and what it has started, which is in its process group. */
async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined) return;
  const gone = child.exitCode === null && child.signalCode === null ? once(child, "exit") : undefined;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // All of them are gone.
  }
  await gone;
}
