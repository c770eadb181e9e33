// What docs/errors.md says of its example, seen in it.
import type { Hub } from "everstream";
import { expect, it } from "vitest";
import { runExample } from "../setup/doc-example.ts";

it("opens with a publish of which one failure is an answer, and all others are thrown", async () => {
  const { values } = await runExample("docs/errors.md", { wanted: ["hub"] });
  const takeSeat = values.takeSeat as (seat: string, user: string) => Promise<boolean>;
  expect(await Promise.all([takeSeat("12a", "ann"), takeSeat("12a", "ben")])).toEqual([true, false]);
  expect(await takeSeat("12b", "ben")).toBe(true);
  await (values.hub as Hub).close();
  await expect(takeSeat("12c", "ann")).rejects.toMatchObject({ code: "HUB_CLOSED" });
});
