/** The media type of event streams (HTML 9.2.5). It is always UTF-8, so there is no charset to name. */
export const EVENT_STREAM_TYPE = "text/event-stream";

/**
 * The headers of a response that is an event stream. `no-transform` keeps compressing proxies from holding events
 * back, `X-Accel-Buffering` does so for nginx. None is hop-by-hop, which HTTP/2 would refuse.
 */
export const EVENT_STREAM_HEADERS = /* @__PURE__ */ Object.freeze({
  "Content-Type": EVENT_STREAM_TYPE,
  "Cache-Control": "no-cache, no-transform",
  "X-Accel-Buffering": "no",
});
