export interface BusEvent {
  type: string;
  payload: unknown;
}

type Listener = (event: BusEvent) => void | Promise<void>;

const listeners = new Map<string, Set<Listener>>();

/** What an application has: events by user, for whoever has subscribed. */
export const eventBus = {
  subscribe(userId: string, listener: Listener): () => void {
    const own = listeners.get(userId) ?? new Set();
    listeners.set(userId, own.add(listener));
    return () => void own.delete(listener);
  },
  async publish(userId: string, event: BusEvent): Promise<void> {
    await Promise.all([...(listeners.get(userId) ?? [])].map((listener) => listener(event)));
  },
  subscribers: (userId: string): number => listeners.get(userId)?.size ?? 0,
};
