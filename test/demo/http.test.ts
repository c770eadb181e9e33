import { type IncomingHttpHeaders, request } from "node:http";
import { connectRaw } from "everstream/testing";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type DemoServer, problemOf, serveDemo } from "./serve-demo.ts";

let demo: DemoServer;
beforeAll(async () => {
  demo = await serveDemo();
});
afterAll(() => demo.close());

/** A request with headers that `fetch` keeps for itself. */
function requestAs(
  { url }: DemoServer,
  path: string,
  { body, ...init }: { method: string; headers: Record<string, string>; body?: string },
): Promise<{ status: number | undefined; headers: IncomingHttpHeaders; body: string }> {
  return new Promise((resolve, reject) => {
    const asking = request(`${url}/api${path}`, init, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part) => {
        text += part;
      });
      answer.on("end", () => resolve({ status: answer.statusCode, headers: answer.headers, body: text }));
    });
    asking.on("error", reject);
    asking.end(body);
  });
}

describe("the application as a whole", () => {
  test("says that it is well", async () => {
    expect(await (await demo.api("/healthz")).json()).toEqual({ status: "ok" });
    expect((await fetch(`${demo.url}/healthz`)).status).toBe(200);
  });

  test("an unknown path is a JSON 404 that names it", async () => {
    expect(await problemOf(await demo.api("/nothing"))).toEqual({
      status: 404,
      error: "there is nothing at GET /api/nothing",
    });
  });

  test("a known path with another method is a 405 that says which would do", async () => {
    const response = await demo.post("/events", {});
    expect(response.headers.get("allow")).toBe("GET, HEAD");
    expect(await problemOf(response)).toEqual({
      status: 405,
      error: "POST is not allowed here, only GET, HEAD",
    });
    expect((await demo.api("/upload/process")).headers.get("allow")).toBe("POST");
  });

  const bodies: [string, string, number, RegExp][] = [
    ["no JSON", "{", 400, /not valid JSON/],
    ["nothing", "", 400, /not valid JSON/],
    ["JSON that is no object", "[]", 400, /must be a JSON object/],
    ["more than it takes", JSON.stringify({ user: "x".repeat(70_000) }), 413, /larger than 65536 bytes/],
  ];
  test.each(bodies)("a body with %s is refused, and why", async (_, body, status, message) => {
    const problem = await problemOf(await demo.api("/session", { method: "POST", body }));
    expect(problem.status).toBe(status);
    expect(problem.error).toMatch(message);
  });

  test("a client that leaves in the middle of a body has nothing written to the log", async () => {
    const complained = vi.spyOn(console, "error").mockImplementation(() => undefined);
    for (const path of ["/api/session", "/api/runs/abcdefgh"]) {
      const { socket } = await connectRaw(demo);
      const taken = new Promise((resolve) => demo.server.once("request", resolve));
      socket.write(`POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{`);
      await taken;
      socket.destroy();
    }
    await expect.poll(() => demo.sockets.size).toBe(0);
    expect((await demo.api("/healthz")).status).toBe(200);
    expect(complained).not.toHaveBeenCalled();
    complained.mockRestore();
  });

  const OTHER = "http://other.example";
  const foreign: [string, string, Record<string, string>][] = [
    ["GET", "/chat/stream?message=hi", { "sec-fetch-site": "cross-site" }],
    ["POST", "/session", { "sec-fetch-site": "cross-site" }],
    ["POST", "/session", { "sec-fetch-site": "same-site" }],
    ["POST", "/session", { origin: OTHER }],
    ["POST", "/session", { origin: "null" }],
    ["DELETE", "/runs/abcdefgh", { origin: OTHER }],
    ["POST", "/runs/abcdefgh", { origin: OTHER, "content-type": "text/plain" }],
  ];
  test.each(foreign)("%s %s is refused to a page of another site: %j", async (method, path, headers) => {
    const init = method === "POST" ? { body: JSON.stringify({ user: "eve" }) } : {};
    const response = await requestAs(demo, path, { method, headers, ...init });
    expect([response.status, response.headers["set-cookie"]]).toEqual([403, undefined]);
    expect(response.body).toContain("pages of other sites");
  });

  const own: [string, Record<string, string>][] = [
    ["its own page", { "sec-fetch-site": "same-origin", origin: "http://localhost:5173" }],
    ["its own page, over plain HTTP", { origin: "http://demo.example", host: "demo.example" }],
    ["its own page, behind a proxy", { origin: "https://demo.example", "x-forwarded-host": "demo.example" }],
    ["who is no browser", {}],
  ];
  test.each(own)("a request of %s is answered, as what it says it is", async (_, headers) => {
    const body = JSON.stringify({ user: "ann" });
    const response = await requestAs(demo, "/session", { method: "POST", headers, body });
    expect(response).toMatchObject({ status: 200, headers: { "x-content-type-options": "nosniff" } });
  });

  test("HEAD answers a stream's headers and runs no handler", async () => {
    const response = await demo.api("/events", { method: "HEAD" });
    expect(response.headers.get("content-type")).toMatch(/^text\/event-stream/);
    expect(await response.text()).toBe("");
  });
});
