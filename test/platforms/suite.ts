// Registers the cases as tests: one test for each case, against a server in this process that answers by script.
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { describe, expect, test } from "vitest";
import { type FaultyRequest, faultServer, serveForTest } from "../../src/testing/index.ts";
import type { Case } from "./case.ts";
import { READY } from "./stream-cases.ts";

/** Runs a case in some runtime, by its name. */
export type Run = (name: string, url: string) => Promise<unknown>;

/** All these cases, at once: they wait more than they work. */
export function describeCases(what: string, cases: readonly Case[], run: Run): void {
  describe.concurrent(what, () => {
    for (const { name, answers, seen, requests } of cases) {
      test(name, async ({ onTestFinished }) => {
        const server = await faultServer(answers);
        onTestFinished(() => server.close());
        expect(await run(name, `${server.url}/`)).toEqual(seen);
        if (requests) expect(server.requests.map(asked)).toEqual(requests);
      });
    }
  });
}

/** Cases at whose end the server must see that the client has left. */
export function describeLeaving(what: string, cases: readonly Case[], run: Run): void {
  describe.concurrent(what, () => {
    for (const { name, answers, seen } of cases) {
      test(name, async ({ onTestFinished }) => {
        const server = await faultServer(answers);
        onTestFinished(() => server.close());
        expect(await run(name, `${server.url}/`)).toEqual(seen);
        const streams = server.requests.filter((request) => request.url !== READY);
        expect(streams).toHaveLength(1);
        await streams[0]?.over;
      });
    }
  });
}

function asked({ method, headers, body }: FaultyRequest): string {
  const cursor = headers["last-event-id"];
  const known = cursor === undefined ? "" : Buffer.from(String(cursor), "latin1").toString();
  return [method, known, body].filter(Boolean).join(" ");
}

const EVENT = `data: ${"x".repeat(100_000)}\n\n`;
/** More events than sockets, runtimes and browsers hold on the way. */
const MAX_EVENTS = 6000;
/** For so long nothing may move, in milliseconds. */
const STILL_MS = 1000;

/**
 * That a loop which lags holds back the server, on the socket itself, and that it gets everything in the end.
 *
 * @param run Has a loop of the runtime read one event, and go on once the second address has answered.
 */
export function describeLag(what: string, run: (url: string, hold: string) => Promise<unknown>): void {
  describe(what, () => {
    test("a loop that lags holds back the server", async ({ onTestFinished }) => {
      const hold = createServer();
      const held = once(hold, "request") as Promise<[unknown, ServerResponse]>;
      let written = 0;
      let isStill = false;
      const source = createServer(async (_, response) => {
        response.writeHead(200, { "Content-Type": "text/event-stream", "Access-Control-Allow-Origin": "*" });
        while (written < MAX_EVENTS && !isStill && !response.destroyed) {
          written++;
          if (response.write(EVENT)) continue;
          const drained = once(response, "drain").then(() => false);
          const quiet = new Promise<boolean>((resolve) => setTimeout(resolve, STILL_MS, true));
          isStill = await Promise.race([drained, quiet]);
        }
        response.write("data: last\n\n");
        const [, answer] = await held;
        answer.writeHead(200, { "Access-Control-Allow-Origin": "*" }).end();
      });
      const servers = await Promise.all([serveForTest(source), serveForTest(hold)]);
      onTestFinished(async () => void (await Promise.all(servers.map((server) => server.close()))));
      const count = await run(`${servers[0].url}/`, `${servers[1].url}/`);
      expect(isStill).toBe(true);
      expect(count).toBe(written);
    });
  });
}
