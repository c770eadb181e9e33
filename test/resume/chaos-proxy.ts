// A network that breaks each connection once some bytes have come back over it.
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";

/** Starts it before a server, for one test. Resolves with its port. */
export async function startChaosProxy(port: number, cutAfter: () => number): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const target = connect(port, "127.0.0.1");
    for (const socket of [client, target]) {
      sockets.add(socket);
      // `close` follows each error, and ends the other side.
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroySoon();
        target.destroy();
      });
    }
    client.pipe(target);
    let left = cutAfter();
    target.on("data", (bytes) => {
      client.write(bytes.subarray(0, left));
      left -= bytes.length;
      if (left <= 0) target.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen({ port: 0, backlog: 4096 }, resolve));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}
