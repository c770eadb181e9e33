// The examples of docs/frameworks.md, as they stand, in a real browser: Vue's and Svelte's by their own compilers.
import { writeFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { launchChromium } from "../browser/chromium.ts";
import { bundle, openPage, type StreamPage } from "../browser/page-server.ts";
import { writeExample } from "../setup/doc-example.ts";
import { codeBlocks } from "../setup/markdown.ts";
import { readText } from "../setup/repository.ts";

const page = "docs/frameworks.md";
let browser: Awaited<ReturnType<typeof launchChromium>>;
beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

it("shows a store's value and its stream's state", async () => {
  const file = await writeExample(page, "(globalThis as { leave?: () => void }).leave = leave;");
  const { page: tab, stream } = await openPage(browser, await bundle(file), { paths: /^\/alerts/ });
  const { open, gone } = await stream(0);
  open("data: fire\n\ndata: flood\n\n");
  await expect.poll(() => tab.title()).toBe("open: fire, flood");
  await tab.evaluate("leave()");
  await gone;
});

it.each(["vue", "svelte"] as const)("shows the lines of a topic in %s", async (framework) => {
  const { streams, page: tab, stream, complaints } = await openComponent(framework);
  const { open, request } = await stream(0);
  expect(request.url).toBe("/logs/a");
  open("data: one\n\ndata: two\n\n");
  await expect.poll(() => tab.locator("pre").textContent()).toBe("one\ntwo");
  expect(await tab.locator("pre").getAttribute("aria-label")).toBe("open");
  expect(streams).toHaveLength(1);
  expect(complaints).toEqual([]);
});

/** The page's component for `framework`, shown with a topic. */
async function openComponent(framework: "vue" | "svelte"): Promise<StreamPage> {
  const source = codeBlocks(readText(page)).find(({ info }) => info === framework)?.code ?? "";
  const compiled = framework === "vue" ? await compileVue(source) : await compileSvelte(source);
  // Among the examples, for what is installed to be found from there.
  const file = await writeExample(page, "");
  await writeFile(file, `${compiled}\n${MOUNT[framework]}`);
  return openPage(browser, await bundle(file), { paths: /^\/logs/ });
}

const MOUNT = {
  vue: `import { createApp } from "vue"; createApp(Component, { topic: "a" }).mount("#root");`,
  svelte: `import { mount } from "svelte"; mount(Component, { target: document.getElementById("root"), props: { topic: "a" } });`,
};

async function compileVue(source: string): Promise<string> {
  const { compileScript, parse, rewriteDefault } = await import("vue/compiler-sfc");
  const { descriptor } = parse(source);
  const { content } = compileScript(descriptor, { id: "example", inlineTemplate: true });
  return rewriteDefault(content, "Component", ["typescript"]);
}

async function compileSvelte(source: string): Promise<string> {
  const { compile } = await import("svelte/compiler");
  return compile(source, { generate: "client", name: "Component" }).js.code.replace(
    "export default function",
    "function",
  );
}
