import type { StreamEvent, StreamStatus } from "everstream/client";
import { useEventStream } from "everstream/react";
import { useEffect, useRef, useState } from "react";
import { postOnce } from "../api/json.ts";
import { randomId } from "../api/random-id.ts";
import { useProblem } from "../api/use-problem.ts";
import type { WireLog } from "../ui/wire-log.ts";

export const TYPES = ["message", "notification", "alert"] as const;
export type NoticeType = (typeof TYPES)[number];

/** One notification, as it is shown. */
export interface Notice {
  readonly id: string;
  readonly type: string;
  readonly text: string;
}

interface Box {
  readonly notices: readonly Notice[];
  readonly heartbeats: number;
}

export interface Inbox extends Box {
  readonly status: StreamStatus;
  /** The stream's. */
  readonly route: string;
  /** Why the user could not sign in. */
  readonly refusal: string | undefined;
  /** Why the last notification could not be sent. */
  readonly problem: string | undefined;
  signIn(): void;
  /** Resolves to whether the server has it. */
  send(type: NoticeType, text: string): Promise<boolean>;
}

const MAX_NOTICES = 50;

/** Signs a user in and follows what the server sends them, over one connection for all tabs. */
export function useInbox(user: string, log: WireLog, enabled: boolean): Inbox {
  const [attempt, setAttempt] = useState(1);
  /** The attempt that succeeded: 0 for none yet. */
  const [signedIn, setSignedIn] = useState(0);
  const [refusal, setRefusal] = useState<string>();
  /** Resolves once it is known whether the user is signed in. */
  const answered = useRef<Promise<unknown>>(undefined);
  const route = `/api/notifications?as=${encodeURIComponent(user)}`;

  useEffect(() => {
    let ignored = false;
    const signingIn = failureOf(postOnce("/api/session", { user }));
    answered.current = signingIn;
    void signingIn.then((failure) => {
      if (ignored) return;
      setRefusal(failure?.message);
      if (failure === undefined) setSignedIn(attempt);
    });
    return () => {
      ignored = true;
    };
  }, [user, attempt]);
  const signIn = (): void => setAttempt(attempt + 1);

  const request = { url: route, fetch: log.fetch, pauseWhenHidden: true, share: true };
  const { data, status, reopen } = useEventStream<Box>(signedIn > 0 ? request : null, {
    initial: { notices: [], heartbeats: 0 },
    reduce: receive,
    onEvent: (event) => log.addShared(route, event),
    enabled,
  });
  const [problem, setProblem] = useProblem(status);
  // A stream that was refused stays so until the next sign-in.
  useEffect(() => {
    if (signedIn > 0) reopen();
  }, [signedIn, reopen]);

  const send = async (type: NoticeType, text: string): Promise<boolean> => {
    const notification = { type, payload: { text }, id: randomId() };
    // Before that, the server would not know whose it is.
    await answered.current;
    const failure = await failureOf(postOnce(route, notification, setProblem));
    setProblem(failure);
    return failure === undefined;
  };

  return { ...data, status, route, refusal, problem, signIn, send };
}

function receive({ notices, heartbeats }: Box, { type, data, lastEventId }: StreamEvent): Box {
  if (type === "heartbeat") return { notices, heartbeats: heartbeats + 1 };
  const notice: Notice = { id: lastEventId, type, text: textIn(data) };
  return { notices: [notice, ...notices].slice(0, MAX_NOTICES), heartbeats };
}

/** A payload may be anything; ours have a text. */
function textIn(data: string): string {
  const { text } = Object(JSON.parse(data)) as { text?: unknown };
  return typeof text === "string" ? text : data;
}

/** Resolves to what went wrong, if anything did. */
function failureOf(posted: Promise<unknown>): Promise<Error | undefined> {
  return posted.then(
    () => undefined,
    (error: Error) => error,
  );
}
