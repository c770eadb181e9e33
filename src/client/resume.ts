import type { EventStreamOptions, PerAttempt } from "./options.ts";

/** Knows whether, and where, a lost connection may be opened again without doing its work twice. */
export interface ResumePlan {
  /** What the next attempt asks for. */
  url: PerAttempt<string | URL>;
  /** Whether that is a GET which takes up what another request began. */
  resuming: boolean;
  /** An event stream was answered. */
  onAnswer(response: Response): void;
  /** An event arrived, so that a resumption without a cursor would bring it a second time. */
  onEvent(): void;
  /** Whether there may be a next attempt, given the last event ID (the empty string for none). */
  allows(lastEventId: string): boolean;
}

/** Creates the plan for one stream. */
export function createResumePlan(url: PerAttempt<string | URL>, options: EventStreamOptions): ResumePlan {
  const { method = "GET", resume, retryPost = false, resumeUrl } = options;
  const isGet = method.toUpperCase() === "GET";
  let answered = false;
  let sawEvent = false;
  return {
    url,
    resuming: false,
    onAnswer({ url: base, headers }) {
      answered = true;
      if (this.resuming) return;
      const location = isGet ? null : headers.get("Location");
      if (resumeUrl !== undefined) this.url = resumeUrl;
      // Relative to the answer's own URL, which redirects may have moved; custom fetches leave it empty.
      else if (location !== null) this.url = () => (base === "" ? location : new URL(location, base));
      else return;
      this.resuming = true;
    },
    onEvent() {
      sawEvent = true;
    },
    allows(lastEventId) {
      const hasCursor = lastEventId !== "";
      if (resume === "never" || (resume === "cursor" && !hasCursor)) return false;
      if (isGet) return true;
      return answered ? this.resuming && (hasCursor || !sawEvent) : retryPost;
    },
  };
}
