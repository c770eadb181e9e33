import { median, pairedRatio } from "./stats.js";
import { number, percent, whole } from "./table.js";

export const RAW_LMDB = "lmdb: put, then flushed";
export const HUB_PUBLISH = "hub.publish";

/** @typedef {{ perSecond: number, p50Ms: number, p99Ms: number, commitSize: number, readPerSecond: number }} Round */
/** @typedef {{ topics: number, events: number, publishers: number, subjects: Record<string, Round[]> }} Durable rounds by subject */

/** @param {Durable} measured @param {string} name @param {keyof Round} figure */
const figures = ({ subjects }, name, figure) => (subjects[name] ?? []).map((round) => round[figure]);

/** The share of what lmdb does by itself. @param {Durable} measured @param {string} name */
export const shareOfLmdb = (measured, name) =>
  pairedRatio(figures(measured, name, "perSecond"), figures(measured, RAW_LMDB, "perSecond"));

/** @param {Durable} measured @returns {import("./table.js").Table} */
export function durableTable(measured) {
  const { topics, events, publishers, subjects } = measured;
  return {
    title: `${whole(events)} events on ${topics === 1 ? "one topic" : `${topics} topics`}, ${publishers} publishers, each waiting for the disk`,
    header: ["", "published/s", "of lmdb", "p50 ms", "p99 ms", "in a commit", "read/s"],
    rows: Object.keys(subjects).map((name) => [
      name,
      whole(median(figures(measured, name, "perSecond"))),
      percent(shareOfLmdb(measured, name)),
      number(median(figures(measured, name, "p50Ms"))),
      number(median(figures(measured, name, "p99Ms"))),
      number(median(figures(measured, name, "commitSize"))),
      whole(median(figures(measured, name, "readPerSecond"))),
    ]),
  };
}
