import type { StreamStatus } from "everstream/client";
import { useEventStream } from "everstream/react";
import { useCallback, useEffect, useMemo, useState } from "react";
import type { WireLog } from "../ui/wire-log.ts";

/** An event of a topic, with its data as the value that it is. */
export interface TopicEvent {
  readonly type: string;
  readonly data: unknown;
}

/** What a topic's events come to, and where its connection stands. */
export interface Topic<S> {
  readonly data: S;
  readonly status: StreamStatus;
}

interface Options<S> {
  readonly initial: S;
  readonly reduce: (data: S, event: TopicEvent) => S;
  readonly log: WireLog;
  /** `false` gives the connection back and keeps what was received. */
  readonly enabled?: boolean;
}

/** What a route answers to who accepts JSON. */
interface Snapshot {
  readonly url: string;
  readonly events: readonly TopicEvent[];
  readonly position: string;
}

const RETRY_MS = 1000;

/**
 * A topic from its beginning, over one connection for all tabs. As a stream that is shared begins with what comes next,
 * each tab reads first what was there, and follows from that position.
 */
export function useTopic<S>(url: string, { initial, reduce, log, enabled = true }: Options<S>): Topic<S> {
  const found = useSnapshot(url);
  const snapshot = found?.url === url ? found : undefined;
  const request = snapshot && {
    url,
    initialLastEventId: snapshot.position,
    fetch: log.fetch,
    share: true,
    pauseWhenHidden: true,
  };
  const before = useMemo(
    () => snapshot?.events.reduce(reduce, initial) ?? initial,
    [snapshot, reduce, initial],
  );
  const take = useCallback(
    (data: S, { type, data: text }: { readonly type: string; readonly data: string }) =>
      reduce(data, { type, data: JSON.parse(text) as unknown }),
    [reduce],
  );
  return useEventStream<S>(request ?? null, {
    initial: before,
    reduce: take,
    onEvent: (event) => log.addShared(url, event),
    enabled,
  });
}

/** The topic as it is now; tried again until the server is there. */
function useSnapshot(url: string): Snapshot | undefined {
  const [snapshot, setSnapshot] = useState<Snapshot>();
  useEffect(() => {
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const read = async (): Promise<void> => {
      const { signal } = controller;
      try {
        const response = await fetch(url, { headers: { accept: "application/json" }, signal });
        if (!response.ok) throw new Error(`The server answered ${response.status}.`);
        setSnapshot({ url, ...((await response.json()) as Omit<Snapshot, "url">) });
      } catch {
        // Where the server is away, the page waits for it.
        if (!signal.aborted) timer = setTimeout(() => void read(), RETRY_MS);
      }
    };
    void read();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [url]);
  return snapshot;
}
