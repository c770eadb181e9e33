// What the hooks' types say. The compiler checks them; nothing here is rendered.
import { defineEvents, type EverstreamError, type StreamEvent, type StreamStatus } from "everstream/client";
import {
  EverstreamProvider,
  type EverstreamProviderProps,
  useEventStream,
  useEventStreamEvent,
  useEventStreamStatus,
  useRun,
  useSSE,
} from "everstream/react";
import { createElement } from "react";
import { expect, expectTypeOf, test } from "vitest";
import { z } from "zod";

const events = defineEvents({ price: z.object({ eur: z.number() }), closed: z.undefined() });

/** Never called: a component as users write it. */
function Component(url: string | null) {
  const { data, status, reopen } = useEventStream(url, {
    initial: [] as string[],
    reduce(all, event) {
      expectTypeOf(event).toEqualTypeOf<StreamEvent>();
      return [...all, event.data];
    },
  });
  expectTypeOf(data).toEqualTypeOf<string[]>();
  expectTypeOf(status).toEqualTypeOf<StreamStatus>();
  expectTypeOf(reopen).toEqualTypeOf<() => void>();

  const selected = useEventStream("/prices", {
    initial: 0,
    reduce: (count) => count + 1,
    select: (count) => ({ isEven: count % 2 === 0 }),
    equals: (a, b) => a.isEven === b.isEven,
    suspense: true,
  });
  expectTypeOf(selected.data).toEqualTypeOf<{ isEven: boolean }>();

  useEventStream<number, typeof events>("/prices", {
    events,
    initial: 0,
    reduce: (last, event) => (event.type === "price" ? event.data.eur : last),
    onInvalid: (error) => expectTypeOf(error).toEqualTypeOf<EverstreamError>(),
  });
  useEventStreamEvent("/prices", "price", ({ data }) => expectTypeOf(data).toEqualTypeOf<{ eur: number }>(), {
    events,
  });
  // @ts-expect-error there is no event of this type
  useEventStreamEvent("/prices", "other", () => undefined, { events });
  // @ts-expect-error a value has to begin somewhere
  useEventStream("/prices", { reduce: (last: number) => last });
  // @ts-expect-error components do not close streams that others have
  useEventStreamStatus({ url: "/prices", signal: new AbortController().signal });

  expectTypeOf(useSSE<{ time: number }>(url).data).toEqualTypeOf<{ time: number } | null>();
  expectTypeOf(useRun("/runs").start).returns.toEqualTypeOf<string>();
  // @ts-expect-error who joins a run wants all of it, which no other tab has
  useRun("/runs", { share: true });
  // @ts-expect-error what a request says for itself can't be everybody's
  createElement(EverstreamProvider, { initialLastEventId: "1" });
}

test("hooks infer the value, what is selected of it, and the events", () => {
  expectTypeOf(Component).returns.toEqualTypeOf<void>();
  expectTypeOf<EverstreamProviderProps>().toHaveProperty("baseUrl");
  expect(Component).toBeTypeOf("function");
});
