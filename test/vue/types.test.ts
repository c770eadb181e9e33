// What the composables' types say. The compiler checks them; nothing here is rendered.
import { defineEvents, type StreamStatus } from "everstream/client";
import { useEventStream, useRun } from "everstream/vue";
import { expect, expectTypeOf, test } from "vitest";
import { effectScope, ref, type ShallowRef } from "vue";
import { z } from "zod";

const events = defineEvents({ price: z.object({ eur: z.number() }) });

test("composables take refs and getters, and give refs of what the reducer makes", () => {
  const scope = effectScope();
  scope.run(() => {
    const { data, status } = useEventStream(() => null, {
      initial: 0,
      events,
      reduce: (last, event) => last + event.data.eur,
      enabled: ref(false),
    });
    expectTypeOf(data).toEqualTypeOf<Readonly<ShallowRef<number>>>();
    expectTypeOf(status).toEqualTypeOf<Readonly<ShallowRef<StreamStatus>>>();
    expect([data.value, status.value.state]).toEqual([0, "idle"]);
    const { isRunning } = useRun(ref("/runs"), { id: ref(null) });
    expect(isRunning.value).toBe(false);
  });
  scope.stop();
});
