import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type DemoServer, problemOf, serveDemo } from "./serve-demo.ts";

let demo: DemoServer;
beforeAll(async () => {
  demo = await serveDemo();
});
afterAll(() => demo.close());

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

  test("HEAD answers a stream's headers and runs no handler", async () => {
    const response = await demo.api("/events", { method: "HEAD" });
    expect(response.headers.get("content-type")).toMatch(/^text\/event-stream/);
    expect(await response.text()).toBe("");
  });
});
