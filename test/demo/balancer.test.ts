// The balancer of `npm run start:cluster`, over real sockets.
import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  request as openRequest,
  type RequestListener,
  type Server,
} from "node:http";
import type { AddressInfo } from "node:net";
import { rawRequest } from "everstream/testing";
import { expect, it, onTestFinished } from "vitest";
import { startBalancer } from "../../scripts/lib/balancer.js";

const POST = { method: "POST", body: "hello" };

/** A balancer that looks after its nodes often, for one test. */
async function balance(healthTimeoutMs = 20_000) {
  const balancer = await startBalancer({ port: 0, host: "127.0.0.1", healthEveryMs: 20, healthTimeoutMs });
  onTestFinished(() => balancer.close());
  return { balancer, url: `http://127.0.0.1:${balancer.port}` };
}

/** A server that names itself, and answers as `answer` does; to health checks as long as `well()`. */
async function node(name: string, answer?: RequestListener, well = (): boolean | undefined => true) {
  const server = createServer((request, response) => {
    if (request.url === "/healthz") {
      const health = well();
      if (health !== undefined) response.writeHead(health ? 200 : 503).end();
      return;
    }
    response.setHeader("X-Node", name);
    if (answer === undefined) response.end(name);
    else answer(request, response);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => close(server));
  return { server, port: (server.address() as AddressInfo).port };
}

async function close(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
}

/** Sends so many bytes, as fast as they are taken, and reads the answer. */
async function upload(port: number, bytes: number): Promise<{ status: number | undefined; body: string }> {
  const sending = openRequest({ port, host: "127.0.0.1", method: "POST", agent: false });
  sending.setHeader("Content-Length", bytes);
  const answered = once(sending, "response") as Promise<[IncomingMessage]>;
  sending.end(Buffer.alloc(bytes));
  const [answer] = await answered;
  let body = "";
  for await (const chunk of answer.setEncoding("utf8")) body += chunk;
  sending.destroy();
  return { status: answer.statusCode, body };
}

const stream: RequestListener = (_, response) => {
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  response.write("data: 1\n\n");
};

it("spreads streams evenly, and passes on what comes at once, both ways", async () => {
  const { balancer } = await balance();
  for (const name of ["a", "b", "c"]) balancer.add(name, (await node(name, stream)).port);
  const open = [];
  for (let n = 0; n < 6; n++) {
    const client = await rawRequest(balancer.port, "/");
    await client.until("data: 1");
    open.push(client);
  }
  expect(balancer.nodes().map(({ connections }) => connections)).toEqual([2, 2, 2]);
  for (const client of open) client.destroy();
  await expect.poll(() => balancer.nodes().map(({ connections }) => connections)).toEqual([0, 0, 0]);
});

it("tells the node when a client leaves, and the client when a node is gone", async () => {
  const { balancer } = await balance();
  const left: string[] = [];
  const { port, server } = await node("a", (request, response) => {
    response.once("close", () => left.push(request.url ?? ""));
    stream(request, response);
  });
  balancer.add("a", port);
  const [one, two] = await Promise.all(["/1", "/2"].map((path) => rawRequest(balancer.port, path)));
  await Promise.all([one?.until("data: 1"), two?.until("data: 1")]);
  one?.destroy();
  await expect.poll(() => left).toEqual(["/1"]);
  await close(server);
  expect(await two?.ended).not.toBe("complete");
});

it("sends what one node refuses to another, a body too", async () => {
  const { balancer, url } = await balance();
  const gone = await node("gone");
  balancer.add("gone", gone.port);
  await close(gone.server);
  const echo: RequestListener = async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    response.end(body);
  };
  balancer.add("here", (await node("here", echo)).port);
  for (let n = 0; n < 5; n++) expect(await (await fetch(url, POST)).text()).toBe("hello");
});

it("repeats a GET that a node did not answer before it was gone, and never a POST", async () => {
  const { balancer, url } = await balance();
  const dying = await node("dying", (request) => request.socket.resetAndDestroy());
  balancer.add("dying", dying.port);
  expect((await fetch(url, POST)).status).toBe(502);
  balancer.add("here", (await node("here")).port);
  const names = await Promise.all([1, 2, 3].map(async () => (await fetch(url)).text()));
  expect(names).toEqual(["here", "here", "here"]);
});

it("passes on an answer that comes before the body has, also where the node takes no more of it", async () => {
  const { balancer } = await balance();
  const refusing = await node("a", (request, response) => {
    response.writeHead(413, { Connection: "close" }).end("too large");
    // Unread bytes make this end a reset, which overtakes nothing: the answer is on its way before it.
    response.once("finish", () => request.socket.destroy());
  });
  balancer.add("a", refusing.port);
  for (let n = 0; n < 10; n++) {
    const { status, body } = await upload(balancer.port, 8 * 1024 * 1024);
    expect([status, body]).toEqual([413, "too large"]);
  }
});

it("says that the node is gone to who is still sending a body", async () => {
  const { balancer } = await balance();
  balancer.add("a", (await node("a", (request) => request.socket.resetAndDestroy())).port);
  expect((await upload(balancer.port, 8 * 1024 * 1024)).status).toBe(502);
});

it("cuts off whom a node serves that answers nothing any more, and comes back to it later", async () => {
  const { balancer, url } = await balance(100);
  let well: boolean | undefined = true;
  balancer.add("a", (await node("a", stream, () => well)).port);
  const client = await rawRequest(balancer.port, "/");
  await client.until("data: 1");
  well = undefined;
  expect(await client.ended).not.toBe("complete");
  expect((await fetch(url)).status).toBe(503);
  well = true;
  await expect.poll(async () => (await rawRequest(balancer.port, "/")).status).toBe(200);
});

it("sends nobody new to a node that says it is not well, and lets it end its streams", async () => {
  const { balancer, url } = await balance();
  let well = true;
  balancer.add("a", (await node("a", stream, () => well)).port);
  const client = await rawRequest(balancer.port, "/");
  await client.until("data: 1");
  well = false;
  await expect.poll(() => balancer.nodes()[0]?.healthy).toBe(false);
  balancer.add("b", (await node("b")).port);
  expect(await (await fetch(url)).text()).toBe("b");
  expect(balancer.nodes()[0]?.connections).toBe(1);
});
