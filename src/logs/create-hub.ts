import { type Hub, type HubOptions, hubOver } from "../hub/index.ts";
import type { Defined } from "../schema/index.ts";
import { memoryLog } from "./memory.ts";

/**
 * Makes a hub: publish events to topics, and let browsers, listeners and loops read them, from wherever they stopped.
 *
 * ```ts
 * const hub = createHub();
 * await hub.publish("prices", { type: "tick", data: { eur: 1.08 } });
 * app.get("/prices", (c) => streamTopics(c, hub, { topics: "prices" }));
 * ```
 *
 * @throws EverstreamError `INVALID_OPTION`.
 */
export function createHub<E extends Defined = undefined>(options: HubOptions<E> = {}): Hub<E> {
  return hubOver(options, memoryLog);
}
