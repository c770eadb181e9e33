import { useEventStream, useRun } from "everstream/vue";
import { expect, test, vi } from "vitest";
import { createSSRApp, defineComponent, h } from "vue";
import { renderToString } from "vue/server-renderer";

const Log = defineComponent(() => {
  const { data, status } = useEventStream("http://127.0.0.1/stream", {
    initial: ["nothing yet"],
    reduce: (all, event) => [...all, event.data],
  });
  const { run, isRunning } = useRun("http://127.0.0.1/runs", { id: "a" });
  return () =>
    h("p", [data.value.join(), status.value.state, run.value?.id ?? "none", isRunning.value].join(" "));
});

test("on a server composables render their initial values and open nothing", async () => {
  const fetch = vi.spyOn(globalThis, "fetch").mockRejectedValue(new Error("opened"));
  const timer = vi.spyOn(globalThis, "setTimeout");
  expect(await renderToString(createSSRApp(Log))).toBe("<p>nothing yet idle none false</p>");
  expect(fetch).not.toHaveBeenCalled();
  expect(timer).not.toHaveBeenCalled();
  fetch.mockRestore();
  timer.mockRestore();
});
