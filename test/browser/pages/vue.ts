import type { StreamEvent, StreamRequest } from "everstream/client";
import { useEventStream, useRun } from "everstream/vue";
import {
  type App,
  createApp,
  createSSRApp,
  defineComponent,
  effectScope,
  type FunctionalComponent,
  h,
  onUpdated,
  reactive,
} from "vue";

/** What the tests read and do, on `window.vueApp`. */
export interface TestApp {
  mount(): void;
  hydrate(): void;
  unmount(): void;
  /** What is shown, and what is asked for. */
  state: {
    names: string[];
    request: StreamRequest | null;
    enabled: boolean;
    run: string | null;
  };
  reopen(): void;
  start(): void;
  reduced: string[];
  updates: number;
  frames: number;
  /** A stream in an effect scope of no component, and its end. */
  openScope(): void;
  closeScope(): void;
  scoped: () => string;
}

declare global {
  var vueApp: TestApp;
}

const join = (all: string, { data }: StreamEvent): string => {
  vueApp.reduced.push(data);
  return all + data;
};
const text = (id: string, value: unknown) => h("p", { id }, JSON.stringify(value));

const Log = defineComponent(
  ({ id }: { id: string }) => {
    const { data, status, reopen } = useEventStream(() => vueApp.state.request, {
      initial: "",
      reduce: join,
      enabled: () => vueApp.state.enabled,
    });
    vueApp.reopen = reopen;
    onUpdated(() => {
      vueApp.updates++;
    });
    return () => text(id, [data.value, status.value.state]);
  },
  { props: ["id"] },
);

const Job = defineComponent(() => {
  const { run, isRunning, start } = useRun("/stream/runs", { id: () => vueApp.state.run });
  vueApp.start = () => void start({ id: "b" });
  return () => text("job", [run.value?.id ?? null, run.value?.text ?? null, isRunning.value]);
});

const views: Readonly<Record<string, FunctionalComponent>> = {
  log: () => h(Log, { id: "log" }),
  other: () => h(Log, { id: "other" }),
  job: () => h(Job),
};
const Root = defineComponent(
  () => () => vueApp.state.names.map((name) => h(views[name] as FunctionalComponent, { key: name })),
);

let app: App | undefined;
const scope = effectScope();

globalThis.vueApp = {
  state: reactive({ names: [], request: "/stream", enabled: true, run: null }),
  mount() {
    app = createApp(Root);
    app.mount("#root");
  },
  hydrate() {
    app = createSSRApp(Log, { id: "log" });
    app.mount("#root");
  },
  unmount: () => app?.unmount(),
  reopen: () => undefined,
  start: () => undefined,
  reduced: [],
  updates: 0,
  frames: 0,
  openScope: () =>
    scope.run(() => {
      const { data } = useEventStream("/stream", { initial: "", reduce: join });
      vueApp.scoped = () => data.value;
    }),
  closeScope: () => scope.stop(),
  scoped: () => "",
};

const count = (): void => {
  vueApp.frames++;
  requestAnimationFrame(count);
};
requestAnimationFrame(count);
