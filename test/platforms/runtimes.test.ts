// The client's and the server's core in Bun, Deno and workerd, out of the packed package.
import { afterAll, beforeAll, describe } from "vitest";
import { packed } from "../setup/inject-packed.ts";
import { coreCases } from "./cases.ts";
import { type Runtime, runtimes } from "./runtimes.ts";
import { describeServer } from "./server-suite.ts";
import { leavingCases } from "./stream-cases.ts";
import { describeCases, describeLag, describeLeaving } from "./suite.ts";

describe.each(Object.entries(runtimes))("%s", (name, start) => {
  let runtime: Runtime | undefined;
  beforeAll(async () => {
    runtime = await start(packed().consumer);
  });
  afterAll(() => runtime?.close());

  const url = (): string => runtime?.url ?? "";
  const ask = async (path: string, query: Record<string, string>): Promise<unknown> => {
    const response = await fetch(`${url()}${path}?${new URLSearchParams(query)}`);
    return response.json();
  };
  const run = async (test: string, at: string): Promise<unknown> =>
    ((await ask("/run", { name: test, url: at })) as { seen: unknown }).seen;

  describeCases(name, coreCases, run);
  describeLeaving(name, leavingCases, run);
  describeLag(name, (at, hold) => ask("/lag", { url: at, hold }));
  describeServer(name, url);
});
