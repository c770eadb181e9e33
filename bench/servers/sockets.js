import { createServer } from "node:net";
import { host } from "./host.js";
import { portOf } from "./listen.js";

// As bare as Node can be: sockets without an HTTP server, one head for all requests, one `socket.write` an event.

const HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";

/** @type {Set<import("node:net").Socket>} */
const sockets = new Set();

const server = createServer({ noDelay: true }, (socket) => {
  // Clients that are gone tell by `close`.
  socket.on("error", () => socket.destroy());
  socket.once("data", () => {
    socket.write(HEAD);
    sockets.add(socket);
  });
  socket.once("close", () => sockets.delete(socket));
});

await host({
  listen: () =>
    new Promise((resolve) => {
      server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => resolve(portOf(server)));
    }),
  publish(data) {
    const frame = Buffer.from(`event: tick\ndata: ${JSON.stringify(data)}\n\n`);
    for (const socket of sockets) socket.write(frame);
  },
});
