// A server that hangs up in the moment the log does: what the connection still had to say is nobody's error.
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { natsLog } from "everstream/nats";
import { expect, it, onTestFinished } from "vitest";
import { openNode } from "../logs/contract.ts";
import { freshName, natsForTests } from "./fixture.ts";

const nats = natsForTests();

/** More than the kernel takes of a connection whose other end reads nothing. */
const UNSENT_BYTES = 16_000_000;

interface Door {
  readonly url: string;
  /** Hangs up, and reads no more: the client is told, and may still speak. */
  shut(): void;
}

/** A way to the server. */
async function doorTo(port: number): Promise<Door> {
  const clients = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (client) => {
    clients.add(client);
    const upstream = connect(port, "127.0.0.1");
    client.on("data", (chunk) => upstream.write(chunk));
    upstream.on("data", (chunk) => client.write(chunk));
    for (const socket of [client, upstream]) socket.on("error", () => undefined);
    client.on("close", () => upstream.destroy());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const client of clients) client.destroy();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `127.0.0.1:${address.port}`,
    shut() {
      for (const client of clients) client.pause().end();
    },
  };
}

/** The sockets that are opened from now on. */
function socketsOpened(): Socket[] {
  const sockets: Socket[] = [];
  const onSocket = (message: unknown): void => {
    sockets.push((message as { readonly socket: Socket }).socket);
  };
  subscribe("net.client.socket", onSocket);
  onTestFinished(() => void unsubscribe("net.client.socket", onSocket));
  return sockets;
}

/** Errors that would end the process. */
function uncaughtErrors(): unknown[] {
  const errors: unknown[] = [];
  const onError = (error: unknown) => void errors.push(error);
  process.on("uncaughtException", onError);
  onTestFinished(() => void process.off("uncaughtException", onError));
  return errors;
}

it("a log that is closed in the moment its server hangs up ends its connection, and not the process", async () => {
  const door = await doorTo(nats.server.port);
  const sockets = socketsOpened();
  const uncaught = uncaughtErrors();
  const node = await openNode(natsLog({ servers: door.url, name: freshName() }));
  await node.follow("t");
  const [socket] = sockets as [Socket];
  // What it was sending when it heard that the server hangs up, and can't send any more.
  socket.once("end", () => void socket.write(new Uint8Array(UNSENT_BYTES)));
  door.shut();
  await expect.poll(() => socket.writableEnded).toBe(true);
  expect(socket.destroyed).toBe(false);
  await node.connection.close();
  await expect.poll(() => socket.closed).toBe(true);
  // It tells of its errors right after it has closed.
  await new Promise((resolve) => setImmediate(resolve));
  expect(uncaught).toEqual([]);
});
