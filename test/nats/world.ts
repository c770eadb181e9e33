// A nats-server with a proxy in front of it, and hubs that reach it through that.
import { createHub, type Hub, type HubOptions } from "everstream";
import { type NatsLogOptions, natsLog } from "everstream/nats";
import { onTestFinished, vi } from "vitest";
import { type NatsServer, startNats } from "../brokers/nats-server.ts";
import { type TcpProxy, tcpProxy } from "../brokers/tcp-proxy.ts";

export interface NatsWorld {
  readonly nats: NatsServer;
  readonly proxy: TcpProxy;
  /** A hub that goes through the proxy. */
  hub(options?: NatsLogOptions, hubOptions?: Partial<HubOptions>): Hub;
  /** A hub that does not. */
  nearHub(options?: NatsLogOptions): Hub;
}

/** Short, so that what is lost is soon missed. */
const CHECK_MS = 200;
const HEARTBEAT_MS = 200;
/** However much a test publishes until it has seen enough. */
const KEEP_ALL = { maxEvents: 1e6, maxBytes: 1e9 };

/** Has the clock of the wall go on at once, for the rest of a test: what waits by it is due, and nobody's deadline comes sooner. */
export function letPass(ms: number): void {
  const read = Date.now.bind(Date);
  const clock = vi.spyOn(Date, "now").mockImplementation(() => read() + ms);
  onTestFinished(() => clock.mockRestore());
}

/** For one test, after which all of it is ended. */
export async function startWorld(args: readonly string[] = []): Promise<NatsWorld> {
  const nats = await startNats({ args });
  const proxy = await tcpProxy(nats.port);
  const hubs: Hub[] = [];
  onTestFinished(async () => {
    await Promise.all(hubs.map((hub) => hub.close()));
    await proxy.close();
    await nats.dispose();
  });
  const hubAt = (port: number, options: NatsLogOptions = {}, more: Partial<HubOptions> = {}): Hub => {
    const where = options.connection === undefined ? { servers: `127.0.0.1:${port}` } : {};
    const quick = { checkInterval: CHECK_MS, heartbeat: HEARTBEAT_MS, timeout: 10_000 };
    const hub = createHub({ retention: KEEP_ALL, ...more, log: natsLog({ ...where, ...quick, ...options }) });
    hubs.push(hub);
    return hub;
  };
  return {
    nats,
    proxy,
    hub: (options, more) => hubAt(proxy.port, options, more),
    nearHub: (options) => hubAt(nats.port, options),
  };
}
