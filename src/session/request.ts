import type { Session } from "./session.ts";

/**
 * Requests whose signals are listened to. In Node a signal that was handed to a request reaches the request's own only
 * while the request lives; the listener alone would not keep it, and the client's leaving would go unseen.
 */
const followed = new Set<Request>();

/**
 * Ties a request's own signal to a session, both ways: the session ends when the client's side aborts, and whoever reads
 * `request.signal` from now on gets one that is aborted at every end of the session, a finish or a drain too. Servers
 * abort theirs when the client goes, some never.
 *
 * @param watch Whether the request's own signal has to be listened to. Where the transport itself tells of the client's
 *   leaving, and the request is the server's own, reading that signal would only make objects.
 */
export function followRequest(session: Session, request: Request, watch = true): void {
  if (watch) {
    const { signal } = request;
    if (signal?.aborted) {
      session.end("disconnected", { destroy: true });
    } else if (signal) {
      const onAbort = (): void => session.end("disconnected", { destroy: true });
      signal.addEventListener("abort", onAbort, { once: true });
      followed.add(request);
      session.onClose(() => {
        signal.removeEventListener("abort", onAbort);
        followed.delete(request);
      });
    }
  }
  if (Object.isExtensible(request)) {
    Object.defineProperty(request, "signal", {
      configurable: true,
      enumerable: true,
      get: () => session.signal,
    });
  }
}
