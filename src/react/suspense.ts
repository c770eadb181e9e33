import type {
  ConnectionFailure,
  EventStream,
  StoreSource,
  StreamEvent,
  StreamLease,
  StreamRegistry,
  Tell,
} from "../client/index.ts";
import type { HookScope } from "./provider.ts";

/**
 * A stream that a component waits for which is not mounted yet. React keeps nothing of such a component, neither its state
 * nor that it will come back; so what it waits for is kept here, with the events that have come, until the component is
 * mounted and takes them, or does not come back.
 */
interface Awaited {
  readonly registry: StreamRegistry;
  readonly key: string;
  readonly stream: EventStream;
  readonly events: StreamEvent[];
  /** Resolves when it is worth rendering once more. */
  readonly news: Promise<void>;
  /** Keeps it for that long from now on. */
  keep(ms: number): void;
  /** A share in the stream, shown as `view`, while it is kept and of use. */
  claim(view: EventStream, acquire: StoreSource<unknown>["acquire"]): StreamLease | undefined;
}

/** How a store is made. */
export interface AwaitedSource<S> extends StoreSource<S> {
  readonly initial: S;
}

const awaited = new Set<Awaited>();

/**
 * How long a suspended component may be away. Then it is asked to render: one that is still there asks for its stream again,
 * which was held so long; of one that was thrown away nothing is heard.
 */
const PATIENCE_MS = 5000;
/** The same for one that has its events, and is not mounted because of others: nothing can ask it to render. */
const HELD_UP_MS = 60_000;
/** How long a stream is held for one who asks again, at once as a rule. */
const LINGER_MS = 250;
/** Of one that is asked for again and again, and never mounted. */
const MAX_EVENTS = 10_000;

/**
 * What a leased store is to be made of so that it begins with what the first events come to. Until there are any it
 * throws a promise for React to wait for; where the connection failed before, the error. Loaded where a component
 * suspends, and only there; so it imports no module that others need, which bundlers would split off.
 *
 * @param toError Makes the error of a failure.
 */
export function awaitFirst<S>(
  scope: HookScope,
  key: string,
  source: AwaitedSource<S>,
  toError: (failure: ConnectionFailure) => Error,
): AwaitedSource<S> {
  if (scope.isPending) throw mountingOf(scope, toError);
  const { registry } = scope;
  const first =
    [...awaited].find((each) => each.registry === registry && each.key === key) ??
    wait(registry, key, source.acquire({}));
  first.keep(PATIENCE_MS);
  const { stream, events } = first;
  const { state, failure } = stream.status;
  if (events.length === 0 && failure && state === "failed") {
    // Whoever asks later wants another attempt.
    first.keep(LINGER_MS);
    throw toError(failure);
  }
  if (events.length === 0 && state !== "closed") throw first.news;
  first.keep(HELD_UP_MS);

  const untold: (() => void)[] = [];
  let tell: Tell = (callback) => untold.push(callback);
  let isClaimed = false;
  let given = 0;
  // Gives each event once, whether it came before or comes now. All else that stores use of a stream are its fields.
  const view = Object.create(stream, {
    onEvent: {
      value: (listener: (event: StreamEvent) => void) => {
        while (given < events.length) listener(events[given++] as StreamEvent);
        return stream.onEvent(listener);
      },
    },
  }) as EventStream;
  const store = source.createStore(view, source.initial, (callback) => tell(callback));
  // Reduces what has come, and listens no longer.
  store.subscribe(doNothing)();
  const { data, status } = store.getSnapshot();
  const { lastEventId } = stream;
  return {
    ...source,
    initial: data,
    status,
    acquire(terms) {
      if (isClaimed) return source.acquire(terms);
      isClaimed = true;
      return first.claim(view, source.acquire) ?? source.acquire({ lastEventId });
    },
    createStore(stream, data, toMounted) {
      // What came before is told first.
      tell = toMounted;
      for (const callback of untold.splice(0)) tell(callback);
      return stream === view ? store : source.createStore(stream, data, tell);
    },
  };
}

function wait(registry: StreamRegistry, key: string, { stream, release }: StreamLease): Awaited {
  const events: StreamEvent[] = [];
  let wake = doNothing;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stopEvents = stream.onEvent((event) => {
    if (events.push(event) > MAX_EVENTS) end();
    wake();
  });
  const stopStatus = stream.onStatus(({ state }) => {
    if (state === "failed" || state === "closed") wake();
  });
  const end = (): void => {
    if (!awaited.delete(self)) return;
    wake();
    // A component that is still there asks again by then, and gets the same connection.
    timer = setTimeout(() => {
      timer = undefined;
      stopEvents();
      stopStatus();
      release();
    }, LINGER_MS);
  };
  const self: Awaited = {
    registry,
    key,
    stream,
    events,
    news: new Promise((resolve) => {
      wake = resolve;
    }),
    keep(ms) {
      if (!awaited.has(self)) return;
      clearTimeout(timer);
      timer = setTimeout(end, ms);
    },
    claim(view, acquire) {
      if (timer === undefined) return undefined;
      self.keep(LINGER_MS);
      const lease = acquire({});
      if (lease.stream === stream) return { ...lease, stream: view };
      lease.release();
      return undefined;
    },
  };
  awaited.add(self);
  return self;
}

const mountings = new WeakMap<HookScope, Promise<void>>();

/** What can't be mounted without its first event, and is to be mounted before that, waits for ever: that is reported. */
function mountingOf(scope: HookScope, toError: (failure: ConnectionFailure) => Error): Promise<void> {
  let mounting = mountings.get(scope);
  if (mounting === undefined) {
    mounting = new Promise((resolve) => {
      scope.onMount = resolve;
    });
    mountings.set(scope, mounting);
    setTimeout(() => {
      if (!scope.isPending) return;
      const message =
        "A component suspends below an EverstreamProvider that is not mounted: put the provider above <Suspense>, or give it a `registry`.";
      report(toError({ code: "INVALID_OPTION", message }));
    }, PATIENCE_MS);
  }
  return mounting;
}

function report(error: unknown): void {
  (globalThis.reportError ?? console.error)(error);
}

function doNothing(): void {
  // There is nobody to tell.
}
