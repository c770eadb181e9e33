import type { AddressInfo } from "node:net";
import { connect, createServer, type Socket } from "node:net";

/** A TCP proxy that stands for the network between a browser and a server. */
export interface CutProxy {
  readonly port: number;
  /** Cuts every connection, and refuses new ones until {@link mend}. */
  cut(): void;
  mend(): void;
  /** Connects to another port from now on, where the server has come back on one: nobody else can have taken that meanwhile. */
  leadTo(port: number): void;
  close(): Promise<void>;
}

export async function startCutProxy(targetPort: number): Promise<CutProxy> {
  const sockets = new Set<Socket>();
  let whole = true;
  let port = targetPort;
  const server = createServer((client) => {
    if (!whole) {
      client.destroy();
      return;
    }
    const target = connect(port, "127.0.0.1");
    for (const socket of [client, target]) {
      sockets.add(socket);
      // `close` follows each error, and ends the other side.
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        target.destroy();
      });
    }
    client.pipe(target).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cutAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut: () => {
      whole = false;
      cutAll();
    },
    mend: () => {
      whole = true;
    },
    leadTo: (next) => {
      port = next;
    },
    close: async () => {
      cutAll();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
