// A cursor that no header carries as it stands, whose code can't be loaded: most likely because there is no network.
import { expect, test, vi } from "vitest";
import { openEventStream } from "../../src/client/event-stream.ts";
import { closing } from "./server.ts";

vi.mock("../../src/client/odd-cursor.ts", () => {
  throw new Error("offline");
});

test("is tried again, like any lost connection", async () => {
  const fetch = vi.fn();
  const stream = closing(
    openEventStream("http://localhost/", { fetch, initialLastEventId: "é", minDelay: 1 }),
  );
  const failures: unknown[] = [];
  stream.onStatus(({ state, failure }) => {
    if (state === "waiting") failures.push(failure?.code);
  });
  stream.onEvent(() => undefined);
  await expect.poll(() => failures.length).toBeGreaterThan(1);
  expect(new Set(failures)).toEqual(new Set(["NETWORK"]));
  expect(fetch).not.toHaveBeenCalled();
});
