import type { Session } from "./session.ts";

/**
 * Requests whose signals are listened to. In Node a signal that was handed to a request reaches the request's own only
 * while the request lives; the listener alone would not keep it, and the client's leaving would go unseen.
 */
const followed = new Set<Request>();

/**
 * Ties a request's own signal to a session, both ways: the session ends when the client's side aborts, and the signal is
 * aborted at every end of the session, a finish or a drain too; servers abort it when the client goes, some never. Whoever
 * reads `request.signal` from now on gets the session's; who read it before is told, too.
 *
 * @param watch Whether the request's own signal has to be listened to. Where the transport itself tells of the client's
 *   leaving, and the request is the server's own, reading that signal would only make objects.
 */
export function followRequest(session: Session, request: Request, watch = true): void {
  if (watch) watchSignal(session, request);
  else session.onClose(() => abortOwnControllers(request, session));
  if (Object.isExtensible(request)) {
    Object.defineProperty(request, "signal", {
      configurable: true,
      enumerable: true,
      get: () => session.signal,
    });
  }
}

function watchSignal(session: Session, request: Request): void {
  const { signal } = request;
  if (signal === undefined || signal === null) return;
  if (signal.aborted) {
    session.end("disconnected", { destroy: true });
    return;
  }
  const onAbort = (): void => session.end("disconnected", { destroy: true });
  signal.addEventListener("abort", onAbort, { once: true });
  followed.add(request);
  session.onClose(() => {
    signal.removeEventListener("abort", onAbort);
    followed.delete(request);
    tellAborted(signal, session);
  });
}

/** Node's adapter of Hono keeps the controller of a signal that was read on the request; so that one can be aborted. */
function abortOwnControllers(request: Request, session: Session): void {
  for (const key of Object.getOwnPropertySymbols(request)) {
    const value: unknown = Reflect.get(request, key);
    if (value instanceof AbortController) value.abort(session.signal.reason);
  }
}

/**
 * Nobody but its maker can abort a signal. To whoever listens to this one, or looks at it, it is aborted from here on; a
 * `fetch` that was begun with it before is not.
 */
function tellAborted(signal: AbortSignal, session: Session): void {
  if (signal.aborted) return;
  Reflect.defineProperty(signal, "aborted", { configurable: true, value: true });
  Reflect.defineProperty(signal, "reason", { configurable: true, value: session.signal.reason });
  signal.dispatchEvent(new Event("abort"));
}
