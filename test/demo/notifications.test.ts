import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { collectEvents, rawRequest } from "everstream/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cookiesOf, type DemoServer, problemOf, serveDemo } from "./serve-demo.ts";

let demo: DemoServer;
beforeAll(async () => {
  demo = await serveDemo({ heartbeatMs: 200 });
});
afterAll(() => demo.close());

async function publish(cookie: string, type: string, payload: unknown): Promise<string> {
  const response = await demo.post("/notifications", { type, payload }, { cookie });
  expect(response.status).toBe(201);
  return ((await response.json()) as { id: string }).id;
}

describe("POST /api/session", () => {
  test("sets a cookie that no script can read and no other site can send", async () => {
    const response = await demo.post("/session", { user: "ada" });
    expect(await response.json()).toEqual({ user: "ada" });
    const cookie = response.headers.get("set-cookie");
    expect(cookie).toMatch(/HttpOnly/i);
    expect(cookie).toMatch(/SameSite=Strict/i);
  });

  test.each([[undefined], [""], ["  "], [7], ["x".repeat(65)], ["a\nb"], ["\ud800"]])(
    "refuses %j as a user",
    async (user) => {
      const problem = await problemOf(await demo.post("/session", { user }));
      expect(problem).toEqual({ status: 400, error: "user must be a name of 1 to 64 characters" });
    },
  );

  test("refuses what no event can carry, and says so", async () => {
    const cookie = await demo.signIn("ada");
    const payload = `${"[".repeat(20_000)}${"]".repeat(20_000)}`;
    const body = `{"type":"alert","payload":${payload}}`;
    const problem = await problemOf(
      await demo.api("/notifications", { method: "POST", headers: { cookie }, body }),
    );
    expect(problem).toEqual({ status: 400, error: expect.stringContaining("no JSON form") });
  });

  test("takes any name that people have", async () => {
    const cookie = await demo.signIn("Zoë O’Brien 王");
    await publish(cookie, "message", 1);
  });
});

describe("who is not signed in", () => {
  test.each([["GET"], ["POST"]])(
    "gets 401 from %s /api/notifications, and how to sign in",
    async (method) => {
      const body = method === "POST" ? JSON.stringify({ type: "alert", payload: 1 }) : null;
      const problem = await problemOf(await demo.api("/notifications", { method, body }));
      expect(problem.status).toBe(401);
      expect(problem.error).toMatch(/POST \/api\/session/);
    },
  );

  test("can't make up a cookie", async () => {
    const real = await demo.signIn("eve");
    const forged = real.replaceAll("=eve.", "=ada.");
    expect(forged).not.toBe(real);
    expect((await demo.api("/notifications", { headers: { cookie: forged } })).status).toBe(401);
  });

  test("may choose with `as` only among users who signed in", async () => {
    const headers = { cookie: await demo.signIn("grace") };
    expect((await demo.api("/notifications?as=ada", { headers })).status).toBe(401);
    expect((await demo.api("/notifications?as=", { headers })).status).toBe(401);
    const own = await demo.api("/notifications?as=grace", { headers });
    expect(own.status).toBe(200);
    await own.body?.cancel();
  });
});

describe("GET /api/notifications", () => {
  test("streams the types that the seed has, with the payload as data and an id to resume after", async () => {
    const cookie = await demo.signIn("linus");
    const response = await demo.api("/notifications", { headers: { cookie } });
    const ids: string[] = [];
    for (const type of ["message", "notification", "alert"])
      ids.push(await publish(cookie, type, { text: type }));
    const events = await collectEvents(response, { until: ({ event }) => event === "alert" });
    const notices = events.filter(({ event }) => !event.startsWith("sse:") && event !== "heartbeat");
    expect(notices).toEqual(
      ["message", "notification", "alert"].map((type, at) => ({
        event: type,
        data: JSON.stringify({ text: type }),
        lastEventId: ids[at],
      })),
    );
  });

  test("shows a user's own notifications and nobody else's", async () => {
    const [ann, bob] = [await demo.signIn("ann"), await demo.signIn("bob")];
    const forAnn = await demo.api("/notifications", { headers: { cookie: ann } });
    const forBob = await demo.api("/notifications", { headers: { cookie: bob } });
    await publish(bob, "message", "for bob");
    await publish(ann, "message", "for ann");
    await publish(bob, "alert", "last");
    await publish(ann, "alert", "last");
    const untilLast = { until: ({ event }: { event: string }) => event === "alert" };
    const data = async (response: Response): Promise<string[]> =>
      (await collectEvents(response, untilLast))
        .filter(({ data: text }) => text !== "")
        .map(({ data: text }) => text);
    expect(await data(forAnn)).toEqual(['"for ann"', '"last"']);
    expect(await data(forBob)).toEqual(['"for bob"', '"last"']);
  });

  test("two users of one browser stand side by side", async () => {
    const first = await demo.post("/session", { user: "ada" });
    const second = await demo.post("/session", { user: "grace" }, { cookie: cookiesOf(first) });
    // As a browser keeps them: the later of two cookies of one name wins.
    const jar = new Map(
      [...cookiesOf(first).split("; "), ...cookiesOf(second).split("; ")].map((one) => {
        const [name = "", value = ""] = one.split("=");
        return [name, value] as const;
      }),
    );
    const headers = { cookie: [...jar].map((pair) => pair.join("=")).join("; ") };
    const ada = await demo.api("/notifications?as=ada", { headers });
    const current = await demo.api("/notifications", { headers });
    await demo.post("/notifications?as=ada", { type: "alert", payload: "ada's" }, headers);
    await demo.post("/notifications", { type: "alert", payload: "grace's" }, headers);
    const alert = { until: ({ event }: { event: string }) => event === "alert" };
    expect((await collectEvents(ada, alert)).at(-1)?.data).toBe(JSON.stringify("ada's"));
    expect((await collectEvents(current, alert)).at(-1)?.data).toBe(JSON.stringify("grace's"));
  });

  test("a client that comes back gets what it missed, once, and nothing twice", async () => {
    const cookie = await demo.signIn("tim");
    const first = await rawRequest(demo, "/api/notifications", { headers: { Cookie: cookie } });
    await first.until("sse:live");
    await publish(cookie, "message", 1);
    await first.until(({ events }) => events.some(({ event }) => event === "message"));
    const lastEventId = first.events.findLast(({ event }) => event === "message")?.lastEventId ?? "";
    first.destroy();
    for (const missed of [2, 3]) await publish(cookie, "message", missed);
    const second = await rawRequest(demo, "/api/notifications", {
      headers: { Cookie: cookie, "Last-Event-ID": lastEventId },
    });
    await publish(cookie, "message", 4);
    await second.until(({ events }) => events.some(({ data }) => data === "4"));
    const messages = second.events.filter(({ event }) => event === "message").map(({ data }) => data);
    expect(messages).toEqual(["2", "3", "4"]);
    second.destroy();
  });

  test("beats visibly while nothing happens", async () => {
    const cookie = await demo.signIn("quiet");
    const response = await demo.api("/notifications", { headers: { cookie } });
    const events = await collectEvents(response, { until: ({ event }) => event === "heartbeat" });
    expect(events.at(-1)).toMatchObject({ event: "heartbeat", data: "" });
  });
});

describe("POST /api/notifications", () => {
  const bad: [string, unknown, RegExp][] = [
    ["no type", { payload: 1 }, /type must be one of message, notification, alert/],
    ["a type of its own", { type: "sse:gap", payload: 1 }, /type must be one of/],
    ["a type that is no string", { type: ["alert"], payload: 1 }, /type must be one of/],
    ["no payload", { type: "alert" }, /payload is missing/],
    ["an id that is hardly one", { type: "alert", payload: 1, id: "a b" }, /id must be 8 to 64/],
  ];
  test.each(bad)("refuses %s", async (_, body, message) => {
    const problem = await problemOf(
      await demo.post("/notifications", body, { cookie: await demo.signIn("ada") }),
    );
    expect(problem.status).toBe(400);
    expect(problem.error).toMatch(message);
  });

  test("with an id once more is the same notification", async () => {
    const cookie = await demo.signIn("una");
    const once = { type: "alert", payload: 1, id: "12345678-a" };
    const answers = [once, once, { ...once, id: "12345678-b" }].map((body) =>
      demo.post("/notifications", body, { cookie }).then((answer) => answer.json()),
    );
    const [first, again, other] = await Promise.all(answers);
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });
});

test("who was away while the server was started anew is still signed in and gets what was missed, without a gap", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "everstream-demo-"));
  const before = await serveDemo({ dataDir });
  const cookie = await before.signIn("ada");
  const post = (server: DemoServer, payload: string): Promise<Response> =>
    server.post("/notifications", { type: "message", payload }, { cookie });
  const { id } = (await (await post(before, "seen")).json()) as { id: string };
  await post(before, "missed before");
  await before.close();

  const after = await serveDemo({ dataDir });
  await post(after, "missed after");
  const response = await after.api("/notifications", { headers: { cookie, "last-event-id": id } });
  const events = await collectEvents(response, { until: ({ data }) => data.includes("missed after") });
  const shown = events.filter(({ event }) => event !== "sse:live");
  expect(shown.map(({ data }) => JSON.parse(data))).toEqual(["missed before", "missed after"]);
  await after.close();
  await rm(dataDir, { recursive: true });
});
