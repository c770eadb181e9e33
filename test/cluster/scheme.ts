// What the nodes of a cluster and its tests agree on.

/** What a node is started with. */
export interface NodeStart {
  /** The broker's. */
  readonly url: string;
  /** The hub's name there. */
  readonly name: string;
}

/** What a run is started with: how many pieces it writes, with how much time between them. Whoever takes it over is quicker. */
export interface RunInput {
  readonly pieces: number;
  readonly everyMs: number;
}

/** What a node prints when it serves, before its port. */
export const READY = "node serves on";
/** Longer than a node that lives may have to wait for its turn on a machine that has other work. */
export const LEASE_MS = 5000;
export const HEARTBEAT_MS = 200;
/** How much time whoever has taken a run over has between two pieces. */
export const TAKEN_OVER_MS = 4;

export const pieceOf = (number: number): string => `<${number}>`;

/** How many pieces a text holds. */
export function piecesIn(text: string): number {
  return text.match(/<\d+>/g)?.length ?? 0;
}

/** The whole text of a run. */
export function textOf(pieces: number): string {
  return Array.from({ length: pieces }, (_, number) => pieceOf(number)).join("");
}
