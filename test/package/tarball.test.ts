// What `npm pack` makes: the right files, and a manifest that every resolver reads the same way.
import { readFile } from "node:fs/promises";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { describe, expect, it } from "vitest";
import { runChild, runTool } from "../../scripts/lib/child.js";
import { packed } from "../setup/inject-packed.ts";
import { filesBelow, subpaths } from "../setup/repository.ts";

describe("the tarball", () => {
  it("holds the compiled sources with their types, the documents of a package, and nothing else", async () => {
    const sources = filesBelow("src").filter((path) => /\.tsx?$/.test(path));
    const compiled = sources.flatMap((path) => {
      const stem = path.replace(/^src/, "dist").replace(/\.tsx?$/, "");
      return [`${stem}.d.ts`, `${stem}.js`];
    });
    const documents = ["CHANGELOG.md", "LICENSE", "README.md", "package.json", ...filesBelow("docs")];
    const { code, output } = await runChild("tar", ["-tzf", packed().tarball]);
    expect(code, output).toBe(0);
    const names = output.trim().split("\n");
    expect(names.map((path) => path.replace(/^package\//, "")).sort()).toEqual(
      [...compiled, ...documents].sort(),
    );
  });

  it("says to frameworks with server components that the hooks are for clients", async () => {
    const { code, output } = await runChild("tar", [
      "-xzOf",
      packed().tarball,
      "package/dist/react/index.js",
    ]);
    expect(code).toBe(0);
    expect(output.split("\n")[0]).toBe('"use client";');
  });

  it("passes publint, suggestions included", async () => {
    const { buffer, byteOffset, byteLength } = await readFile(packed().tarball);
    const bytes = buffer.slice(byteOffset, byteOffset + byteLength);
    const { messages, pkg } = await publint({ pack: { tarball: bytes }, strict: true });
    expect(messages.map((message) => formatMessage(message, pkg, { color: false }))).toEqual([]);
  });

  it("passes attw for every entry", async () => {
    const args = [packed().tarball, "--profile", "esm-only", "--format", "ascii", "--no-emoji", "--no-color"];
    const { code, output } = await runTool("@arethetypeswrong/cli/dist/index.js", args);
    expect(code, output).toBe(0);
    for (const subpath of subpaths) expect(output).toContain(`"${subpath}"`);
  });
});
