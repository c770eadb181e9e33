import type { Audience } from "./audience.ts";
import type { Epochs } from "./epochs.ts";
import type { TopicState } from "./log.ts";
import type { Meter } from "./meter.ts";
import type { Pages } from "./pages.ts";
import type { Pump } from "./pump.ts";

/** After how long a read of the log that failed is tried again. */
export const RETRY_READ_MS = 1000;

/** What an audience needs of the hub's live side. */
export interface AudienceHost {
  /** The sequence through which the feed has handed over everything. */
  readonly through: number;
  readonly epochs: Epochs;
  readonly pump: Pump;
  readonly pages: Pages;
  readonly meter: Meter;
  readonly closed: boolean;
  readStates(topics: readonly string[]): Promise<readonly TopicState[]>;
  /** Nobody holds the audience any more. */
  letGo(audience: Audience): void;
}
