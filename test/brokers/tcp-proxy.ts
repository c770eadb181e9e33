// A network between a client and a server on this machine, for tests to break.
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

export interface TcpProxy {
  readonly port: number;
  /** The port of the server to which new connections go. */
  target: number;
  /** How many connections are open. */
  readonly connections: number;
  /** Whether new connections are refused, as where nobody listens. */
  refuses: boolean;
  /** What every chunk waits before it goes on, in milliseconds. */
  delayMs: number;
  /** Whether to lose this chunk of what a server sends. Servers that have nothing else to say send a message in one. */
  loses: ((chunk: Buffer) => boolean) | undefined;
  /** What to send on in place of this chunk of what a server sends. */
  alters: ((chunk: Buffer) => Buffer) | undefined;
  /** How many connections were ever made. */
  readonly opened: number;
  /** Cuts all connections. */
  cut(): void;
  /** Keeps all connections open, old and new, and lets nothing through: what is sent meanwhile is gone with `cut`, or comes with `mend`. */
  stall(): void;
  mend(): void;
  /** Lets through what clients send, and holds back what the server answers: replies that are lost, once it is `cut`. */
  stallReplies(): void;
  close(): Promise<void>;
}

type Direction = "up" | "down";

export async function tcpProxy(serverPort: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const stalled = new Set<Direction>();
  const held: { to: Socket; chunk: Buffer; direction: Direction }[] = [];
  const server = createServer((client) => {
    if (proxy.refuses) {
      client.resetAndDestroy();
      return;
    }
    proxy.opened++;
    const upstream = connect({ port: proxy.target, host: "127.0.0.1", noDelay: true });
    client.setNoDelay(true);
    join(client, upstream, "up");
    join(upstream, client, "down");
  });
  const join = (from: Socket, to: Socket, direction: Direction): void => {
    sockets.add(from);
    // What was held up is not overtaken by what comes when nothing is any more.
    const late: Buffer[] = [];
    let due = 0;
    from.on("data", (sent: Buffer) => {
      if (direction === "down" && proxy.loses?.(sent) === true) return;
      const chunk = direction === "down" && proxy.alters !== undefined ? proxy.alters(sent) : sent;
      if (stalled.has(direction)) held.push({ to, chunk, direction });
      else if (proxy.delayMs > 0 || late.length > 0) {
        late.push(chunk);
        due = Math.max(due, Date.now() + proxy.delayMs);
        setTimeout(() => to.write(late.shift() as Buffer), due - Date.now());
      } else to.write(chunk);
    });
    from.on("error", () => to.destroy());
    from.on("close", () => {
      sockets.delete(from);
      to.destroy();
    });
  };
  const proxy: TcpProxy & { port: number; opened: number } = {
    port: 0,
    target: serverPort,
    refuses: false,
    delayMs: 0,
    loses: undefined,
    alters: undefined,
    opened: 0,
    get connections(): number {
      return sockets.size / 2;
    },
    cut(): void {
      held.length = 0;
      for (const socket of sockets) socket.resetAndDestroy();
    },
    stall(): void {
      stalled.add("up").add("down");
    },
    stallReplies(): void {
      stalled.add("down");
    },
    mend(): void {
      stalled.clear();
      for (const { to, chunk } of held.splice(0)) to.write(chunk);
    },
    async close(): Promise<void> {
      proxy.cut();
      server.close();
      await once(server, "close");
    },
  };
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  proxy.port = address.port;
  return proxy;
}
