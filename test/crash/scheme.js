// What the worker publishes, and the harness expects.

/** The topic that is trimmed with every publish, and how many events it keeps. */
export const RING = "ring";
export const RING_EVENTS = 10;

/** How many events a batch has. */
export const BATCH = 3;

/** Whether a batch begins at this number of a lane. @param {number} n */
export const isBatch = (n) => n % 10 === 0;

/** @param {number} lane */
export const laneTopic = (lane) => `lane:${lane}`;

/** @param {number} n */
export const shortTopic = (n) => `short:${n}`;

/** What ends each line that the worker says. */
export const SAID = ".";
