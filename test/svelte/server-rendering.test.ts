import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { eventStream } from "everstream/svelte";
import type { Component } from "svelte";
import { compile } from "svelte/compiler";
import { render } from "svelte/server";
import { get, type Readable } from "svelte/store";
import { expect, onTestFinished, test, vi } from "vitest";
import { readText, root } from "../setup/repository.ts";

const append = (all: string, { data }: { readonly data: string }) => all + data;

test("on a server stores have their initial values and open nothing", async () => {
  const fetch = vi.spyOn(globalThis, "fetch").mockRejectedValue(new Error("opened"));
  const { js } = compile(readText("test/browser/pages/quotes.svelte"), { generate: "server" });
  const file = join(root, "artifacts/test/examples", `quotes-${process.pid}.js`);
  await mkdir(join(file, ".."), { recursive: true });
  await writeFile(file, js.code);
  onTestFinished(() => rm(file, { force: true }));
  vi.stubGlobal("svelteApp", {});
  onTestFinished(() => {
    vi.unstubAllGlobals();
  });
  const { default: quotes } = (await import(/* @vite-ignore */ file)) as {
    default: Component<{ url: string; id: string }>;
  };
  const timer = vi.spyOn(globalThis, "setTimeout");
  const { body } = render(quotes, { props: { url: "http://127.0.0.1/stream", id: "quotes" } });
  expect(body).toContain('["","idle"]');
  const store: Readable<{ readonly data: string }> = eventStream("http://127.0.0.1/stream", {
    initial: "none",
    reduce: append,
  });
  expect(get(store).data).toBe("none");
  expect(fetch).not.toHaveBeenCalled();
  expect(timer).not.toHaveBeenCalled();
  timer.mockRestore();
  fetch.mockRestore();
});
