let callsHandlersItself: boolean | undefined;

/** Whether the runtime's own EventTarget calls what stands in `on…` attributes, as Cloudflare's workers do. */
export function callsHandlers(): boolean {
  if (callsHandlersItself === undefined) {
    callsHandlersItself = false;
    const probe = Object.assign(new EventTarget(), {
      onprobe: () => {
        callsHandlersItself = true;
      },
    });
    probe.dispatchEvent(new Event("probe"));
  }
  return callsHandlersItself;
}
