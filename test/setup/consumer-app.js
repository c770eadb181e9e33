// Run in the folder where the packed package is installed: a hub served by Node and read by the client.
import { once } from "node:events";
import { createServer } from "node:http";
import { createHub } from "everstream";
import { openEventStream } from "everstream/client";
import { streamTopics } from "everstream/node";

const hub = createHub();
const server = createServer((request, response) => {
  void streamTopics(request, response, hub, { topics: ["greetings"], from: "start" });
}).listen(0, "127.0.0.1");
await once(server, "listening");
const address = /** @type {import("node:net").AddressInfo} */ (server.address());

await hub.publish("greetings", { type: "greeting", data: { to: "earlier" } });
const seen = [];
for await (const { type, data } of openEventStream(`http://127.0.0.1:${address.port}/`)) {
  seen.push([type, JSON.parse(data)]);
  if (seen.length === 2) break;
  await hub.publish("greetings", { type: "greeting", data: { to: "live" } });
}
await hub.close();
server.close();
console.log(JSON.stringify(seen));
