/**
 * Whether a timer belongs to the request in which it was set, as in Cloudflare's workers: it dies with that request, and
 * with it whatever others have made depend on it. There each session has timers of its own, where elsewhere one serves
 * all of them.
 */
export const OWN_TIMERS: boolean = globalThis.navigator?.userAgent === "Cloudflare-Workers";
