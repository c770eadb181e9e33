/**
 * By topic, the sequence through which one reader gets nothing: its client may not see it, or has been told that it misses
 * it. The log, the ring or a page that others have read may still hold what lies there.
 */
export class Floors {
  /** After this sequence there is no floor. */
  readonly highest: number;
  readonly #byTopic: ReadonlyMap<string, number>;

  constructor(byTopic: ReadonlyMap<string, number>) {
    this.#byTopic = byTopic;
    this.highest = Math.max(0, ...byTopic.values());
  }

  /** The topic's floor; 0 where there is none. */
  of(topic: string): number {
    return this.#byTopic.get(topic) ?? 0;
  }

  hides({ topic, sequence }: { readonly topic: string; readonly sequence: number }): boolean {
    return sequence <= this.of(topic);
  }

  /** These, and one that is higher than the topic's was. */
  raised(topic: string, sequence: number): Floors {
    return new Floors(new Map(this.#byTopic).set(topic, sequence));
  }

  /** What is left of them where sequences over `kept` mean something else than they did. */
  within(kept: number): Floors {
    if (this.highest <= kept) return this;
    return new Floors(new Map([...this.#byTopic].map(([topic, floor]) => [topic, Math.min(floor, kept)])));
  }
}

/** Everything may be seen. */
export const NO_FLOORS: Floors = /* @__PURE__ */ new Floors(/* @__PURE__ */ new Map());
