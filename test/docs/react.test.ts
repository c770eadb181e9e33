// The examples of docs/react.md, as they stand, in a real browser under StrictMode.
import { afterAll, beforeAll, expect, it } from "vitest";
import { launchChromium } from "../browser/chromium.ts";
import { bundle, openPage } from "../browser/page-server.ts";
import { writeExample } from "../setup/doc-example.ts";

const page = "docs/react.md";
let browser: Awaited<ReturnType<typeof launchChromium>>;
beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

/** Opens a page that shows this of the example's components. */
async function open(shown: string, paths: RegExp, below?: string) {
  const last = `
    import { createRoot } from "react-dom/client";
    import { StrictMode } from "react";
    createRoot(document.getElementById("root")!).render(<StrictMode>${shown}</StrictMode>);`;
  const file = await writeExample(page, last, below === undefined ? {} : { below });
  return openPage(browser, await bundle(file), { paths });
}

it("shows the last message of one stream and the lines of another", async () => {
  const opened = await open(
    `<><Clock /><Clock /><Log topic="a" /><Log topic={null} /></>`,
    /^\/(clock|logs)/,
  );
  const streams = [await opened.stream(0), await opened.stream(1)];
  const [clock, log] = ["/clock", "/logs/a"].map((url) => streams.find(({ request }) => request.url === url));
  clock?.open('data: {"time":"noon"}\n\n');
  log?.open("data: one\n\ndata: two\n\n");
  const text = (selector: string) => opened.page.locator(selector).allTextContents();
  await expect.poll(() => text("time")).toEqual(["noon", "noon"]);
  await expect.poll(() => text("pre")).toEqual(["one\ntwo", ""]);
  expect(await opened.page.locator("pre").first().getAttribute("aria-label")).toBe("open");
  expect(opened.streams).toHaveLength(2);
  expect(opened.complaints).toEqual([]);
});

it("waits for the first event, with the provider's headers", async () => {
  const opened = await open("<App />", /^\/prices/, "Suspense");
  const { open: answer, request } = await opened.stream(0);
  expect(request.headers.authorization).toBe("Bearer null");
  await expect.poll(() => opened.page.locator("#root").textContent()).toBe("Waiting for the first price");
  answer("data: 7\n\n");
  await expect.poll(() => opened.page.locator("#root").textContent()).toBe("7 €");
  expect(opened.streams).toHaveLength(1);
  expect(opened.complaints).toEqual([]);
});

it("goes on where the server's rendering ends", async () => {
  const opened = await open(`<News items={["a"]} position="7" />`, /^\/news/, "On a server, and after it");
  const { open: answer, request } = await opened.stream(0);
  expect(request.headers["last-event-id"]).toBe("7");
  answer("id: 8\ndata: b\n\n");
  await expect.poll(() => opened.page.locator("li").allTextContents()).toEqual(["a", "b"]);
});
