import { createHub, type Hub, type HubLimits, memoryLog, type RespondOptions } from "everstream";
import { rawRequest, type TestServer } from "everstream/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Deadline, endOfAge } from "../../src/hub/deadline.ts";
import { pulseSize } from "../../src/session/pulse.ts";
import { until } from "../session/eventually.ts";
import { numbered, numbers } from "./client.ts";
import { remoteLog } from "./remote-log.ts";
import { cursorOf, dataOf, gapsOf, openSource, serveHub } from "./rights-server.ts";

let hub: Hub;
let server: TestServer;
let options: Partial<RespondOptions>;

/** Serves a hub whose clients give their key as the path. */
async function serve(limits: HubLimits): Promise<void> {
  hub = createHub({ limits, log: remoteLog(memoryLog()) });
  server = await serveHub(hub, ({ url = "/" }) => {
    const key = url.slice(1);
    return { topics: "t", ...(key && { key }), ...options };
  });
}

beforeEach(() => {
  options = {};
});
afterEach(async () => {
  await hub.close();
  await server.close();
});

const sessions = (count: number): Promise<boolean> => until(() => hub.stats().sessions === count);

describe("limits.maxSessions", () => {
  it("sends an EventSource away with 200 and a time, others with 503; there is room when one has left", async () => {
    await serve({ maxSessions: 2 });
    const open = [await openSource(server), await openSource(server)];
    await sessions(2);
    const source = await openSource(server);
    expect(await source.ended).toBe("complete");
    expect(source.status).toBe(200);
    expect(source.headers["content-type"]).toBe("text/event-stream");
    expect(source.body).toMatch(/^retry: \d+$/m);
    for (const method of ["GET", "POST"]) {
      const other = await fetch(server.url, { method });
      expect([other.status, other.headers.get("retry-after")]).toEqual([503, "2"]);
      expect(await other.json()).toMatchObject({ code: "TOO_MANY_SESSIONS" });
    }
    open[0]?.destroy();
    await sessions(1);
    const next = await openSource(server);
    await hub.publish("t", { data: 1 });
    await next.until("data: 1");
  });

  it("is kept by openings at the same moment, and asks nobody for whom there is no room", async () => {
    await serve({ maxSessions: 5 });
    let asked = 0;
    options = {
      authorize: () => {
        asked++;
        return until(() => asked === 20);
      },
    };
    const all = await Promise.all(Array.from({ length: 20 }, () => openSource(server)));
    await Promise.all(all.map((source) => source.until(/^retry: /m)));
    expect(hub.stats().sessions).toBe(5);
    const authorize = vi.fn(() => true);
    options = { authorize };
    expect((await openSource(server)).status).toBe(200);
    expect(authorize).not.toHaveBeenCalled();
    for (const source of all) source.destroy();
    await sessions(0);
  });
});

describe("limits.maxSessionsPerKey", () => {
  it("answers one too many with 429, each key on its own; sessions without a key are not counted", async () => {
    await serve({ maxSessionsPerKey: 2 });
    const ann = [await openSource(server, "/ann"), await openSource(server, "/ann")];
    await sessions(2);
    const third = await openSource(server, "/ann");
    await third.ended;
    expect([third.status, third.headers["retry-after"]]).toEqual([429, "2"]);
    expect(JSON.parse(third.body)).toMatchObject({ code: "TOO_MANY_SESSIONS" });
    const others = await Promise.all(["/bob", "/", "/", "/"].map((path) => openSource(server, path)));
    expect(others.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    await sessions(6);
    ann[0]?.destroy();
    await sessions(5);
    const again = await openSource(server, "/ann");
    await hub.publish("t", { data: 1 });
    await again.until("data: 1");
  });

  it("is kept by openings at the same moment", async () => {
    await serve({ maxSessionsPerKey: 3 });
    const all = await Promise.all(Array.from({ length: 10 }, () => openSource(server, "/ann")));
    expect(all.map(({ status }) => status).sort()).toEqual([200, 200, 200, ...Array(7).fill(429)]);
    expect(hub.stats().sessions).toBe(3);
  });

  it("an EventSource that returns while the server still holds its old connection is told to come back", async () => {
    await serve({ maxSessionsPerKey: 1 });
    const first = await openSource(server, "/ann");
    await hub.publish("t", { data: 1 });
    await first.until("data: 1");
    const second = await openSource(server, "/ann", cursorOf(first));
    expect(await second.ended).toBe("complete");
    const [, retry] = /^retry: (\d+)$/m.exec(second.body) ?? [];
    expect(second.status).toBe(200);
    expect(Number(retry)).toBeGreaterThanOrEqual(1000);
    // What is no EventSource reads the status.
    const headers = { "Last-Event-ID": cursorOf(first) };
    expect((await rawRequest(server, "/ann", { headers })).status).toBe(429);
    first.destroy();
    await sessions(0);
    await hub.publish("t", { data: 2 });
    const third = await openSource(server, "/ann", cursorOf(first));
    await third.until("data: 2");
    expect(dataOf(third)).toEqual(["2"]);
  });
});

describe("maxSessionAge", () => {
  it("ends sessions with their position; who returns misses nothing and gets nothing twice", async () => {
    await serve({});
    await hub.position();
    const timers = pulseSize();
    options = { maxSessionAge: 150, from: "start" };
    const seen: string[] = [];
    let gaps = 0;
    let cursor: string | undefined;
    let published = 0;
    while (published < 60 || seen.length < published) {
      const source = await openSource(server, "/", cursor);
      for (let left = 20; left > 0 && published < 60; left--)
        await hub.publish("t", numbered(1, published++));
      expect(await source.ended).toBe("complete");
      seen.push(...dataOf(source));
      gaps += gapsOf(source).length;
      cursor = cursorOf(source);
    }
    expect([seen, gaps]).toEqual([numbers(60), 0]);
    expect(hub.stats().closed.expired).toBeGreaterThanOrEqual(3);
    await sessions(0);
    expect(pulseSize()).toBe(timers);
  });

  it("is drawn from a fifth around it, so that sessions do not leave together", () => {
    const now = vi.spyOn(Date, "now").mockReturnValue(1_000_000);
    const ends = Array.from({ length: 1000 }, () => endOfAge(1000) - 1_000_000);
    now.mockRestore();
    expect(Math.min(...ends)).toBeGreaterThanOrEqual(800);
    expect(Math.max(...ends)).toBeLessThanOrEqual(1200);
    expect(Math.max(...ends) - Math.min(...ends)).toBeGreaterThan(300);
  });

  it("leaves no timer of sessions that ended before", async () => {
    await serve({});
    await hub.position();
    const timers = pulseSize();
    options = { maxSessionAge: 3_600_000, expiresAt: Date.now() + 7_200_000 };
    const all = await Promise.all(Array.from({ length: 20 }, () => openSource(server)));
    await sessions(20);
    expect(pulseSize()).toBeGreaterThanOrEqual(timers + 20);
    for (const source of all) source.destroy();
    await sessions(0);
    await until(() => pulseSize() === timers);
  });
});

describe("a deadline", () => {
  it("goes by the clock on the wall, also when that is set", () => {
    const onEnd = vi.fn();
    const clock = vi.spyOn(Date, "now").mockReturnValue(1_000_000);
    const deadline = new Deadline(1_090_000, onEnd);
    expect(deadline.onPulse()).toBe(60_000);
    clock.mockReturnValue(1_080_000);
    expect(deadline.onPulse()).toBe(10_000);
    expect(onEnd).not.toHaveBeenCalled();
    clock.mockReturnValue(2_000_000);
    expect(deadline.onPulse()).toBe(0);
    expect(onEnd).toHaveBeenCalledOnce();
    clock.mockRestore();
    deadline.cancel();
    deadline.cancel();
  });
});

describe("limits that can't be", () => {
  const code = expect.objectContaining({ code: "INVALID_OPTION" });

  it("are refused at once", async () => {
    await serve({});
    for (const limits of [{ maxSessions: 0 }, { maxSessionsPerKey: Number.NaN }]) {
      expect(() => createHub({ limits })).toThrow(code);
    }
    for (const wrong of [{ maxSessionAge: 0 }, { expiresAt: Number.NaN }, { expiresAt: -1 }]) {
      const request = new Request("http://localhost/");
      await expect(hub.respond(request, { topics: "t", ...wrong })).rejects.toThrow(code);
    }
  });
});
