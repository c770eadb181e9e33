import { safely } from "./failure.ts";
import type { AnyStreamOptions, PerAttempt } from "./options.ts";

/** Knows whether, and where, a lost connection may be opened again without doing its work twice. */
export interface ResumePlan {
  /** What the next attempt asks for. */
  url: PerAttempt<string | URL>;
  /** Whether that is a GET which takes up what another request began. */
  resuming: boolean;
  /** An event stream was answered to who asked for `asked`. */
  onAnswer(response: Response, asked: string): void;
  /** Whether there may be a next attempt, given the last event ID (the empty string for none). */
  allows(lastEventId: string): boolean;
}

/** Creates the plan for one stream. */
export function createResumePlan(url: PerAttempt<string | URL>, options: AnyStreamOptions): ResumePlan {
  const { method = "GET", resume, retryPost, resumeUrl } = options;
  const isGet = method.toUpperCase() === "GET";
  let repeatable = isGet || !!retryPost;
  return {
    url,
    resuming: false,
    onAnswer({ url: base, headers }, asked) {
      // One that is no URL is as good as none.
      safely(() => {
        const location = !isGet && headers.get("Location");
        let resumeAt = resumeUrl;
        if (!resumeAt && location) {
          const from = new URL(new Request(asked).url);
          // Relative to the answer's own URL, which redirects may have moved; custom fetches leave it empty.
          const target = new URL(location, base || from);
          // The caller's headers go along, a token among them, which `fetch` itself keeps from other origins.
          if (target.origin === from.origin) resumeAt = target;
        }
        if (resumeAt) {
          this.url = resumeAt;
          this.resuming = true;
        }
      });
      repeatable = isGet || this.resuming;
    },
    allows(lastEventId) {
      // Work that another request began is resumed after a cursor, else its events would come twice.
      return resume !== "never" && repeatable && (!!lastEventId || !(this.resuming || resume === "cursor"));
    },
  };
}
