// What docs/protocol.md says of its example and of names, seen in them.
import * as protocol from "everstream/protocol";
import { expect, it, onTestFinished, vi } from "vitest";
import { runExample } from "../setup/doc-example.ts";
import { readText } from "../setup/repository.ts";

const page = "docs/protocol.md";

it("opens with what was encoded, and what was cut anywhere, parsed", async () => {
  const log = vi.spyOn(console, "log").mockReturnValue();
  onTestFinished(() => log.mockRestore());
  await runExample(page);
  expect(log.mock.calls).toEqual([
    ["price", "1.08\n1.09", "7"],
    ["message", "cut anywhere", "7"],
  ]);
});

it("has the names on the wire as they are", () => {
  const rows = [...readText(page).matchAll(/^\| `([A-Z_]+)` \| `([^`]+)` \|/gm)];
  const texts = Object.entries(protocol).filter(([, value]) => typeof value === "string");
  expect(Object.fromEntries(rows.map(([, name, value]) => [name, value]))).toEqual(Object.fromEntries(texts));
});
