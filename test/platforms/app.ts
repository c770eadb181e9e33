// What the runtimes serve in the tests: the cases of the client's core, and the server's core on their own servers.
import { createHub, type Hub, streamEvents } from "everstream";
import { lag, runCase } from "./cases.ts";

/** What the streams below have come to, by name. Texts, because workers may not share more between requests. */
const ends = new Map<string, string>();

/** Answers a request. */
export async function app(request: Request): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  const given = (name: string): string => searchParams.get(name) ?? "";
  switch (pathname) {
    case "/run":
      return Response.json({ seen: await runCase(given("name"), given("url")) });
    case "/lag":
      return Response.json(await lag(given("url"), given("hold")));
    case "/count":
      return streamEvents(request, async (stream) => {
        for (let count = 1; count <= Number(given("to")); count++) {
          await stream.send("count", { count });
          if (given("pause") !== "") await stream.sleep(Number(given("pause")));
        }
      });
    case "/burst":
      // Nobody awaits these, and the last come from a timer.
      return streamEvents(request, async (stream) => {
        for (let count = 0; count < 1000; count++) void stream.writeSSE({ data: `${count}` });
        await new Promise((resolve) => setTimeout(resolve, 5));
        void stream.writeSSE({ data: "late" });
      });
    case "/quiet":
      return streamEvents(
        request,
        async (stream) => {
          await stream.send("cursor", stream.lastEventId ?? null);
          await stream.closeReason;
        },
        { heartbeat: 100 },
      );
    case "/endless":
      return streamEvents(request, async (stream) => {
        stream.onAbort(() => void ends.set(given("name"), "aborted"));
        while (true) {
          await stream.send("tick", {});
          await stream.sleep(10);
        }
      });
    case "/flood":
      return streamEvents(
        request,
        async (stream) => {
          stream.onAbort(() => void stream.closeReason.then((reason) => ends.set(given("name"), reason)));
          let count = 0;
          while (!stream.closed) {
            await stream.send("flood", { count: count++, text: "x".repeat(10_000) });
            ends.set(given("name"), `${count}`);
          }
        },
        { stallTimeout: 1000 },
      );
    case "/ends":
      return Response.json(ends.get(given("name")) ?? null);
    default:
      return new Response("not here", { status: 404 });
  }
}

/** A hub over HTTP, with memory alone. */
export class HubApp {
  readonly #hub: Hub = createHub();

  async answer(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const topics = (searchParams.get("topics") ?? "").split(",");
    switch (pathname) {
      case "/hub/events":
        return this.#hub.respond(request, { topics });
      case "/hub/publish": {
        const ids = [];
        for (const topic of topics)
          ids.push(await this.#hub.publish(topic, { type: "n", data: await request.json() }));
        return Response.json(ids);
      }
      case "/hub/finish":
        await this.#hub.finish(topics[0] as string);
        return Response.json(null);
      default:
        return Response.json(this.#hub.stats());
    }
  }
}
