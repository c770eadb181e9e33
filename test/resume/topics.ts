import type { Grant } from "./account.ts";

export const TOPICS = ["a", "b", "c", "d", "e", "f"];

/** Sets that many share, and sets that few do. */
export function topicsOf(client: number): Grant[] {
  const first = client % TOPICS.length;
  return Array.from({ length: 1 + (client % 4) }, (_, index) => ({
    topic: TOPICS[(first + index * (1 + (client % 2))) % TOPICS.length] as string,
  })).filter(({ topic }, index, all) => all.findIndex((other) => other.topic === topic) === index);
}
