import { join } from "node:path";
import { type EventLog, memoryLog } from "everstream";
import { lmdbLog } from "everstream/lmdb";
import { natsLog } from "everstream/nats";
import { redisLog } from "everstream/redis";

/** Where the application's events live. */
export interface DemoLog {
  readonly log: EventLog;
  /** Whether other servers may be on the same log. */
  readonly shared: boolean;
}

/** What sets this application's events apart from those of others on the same server. */
const NAME = "demo";

/**
 * The log that `LOG` names: `redis://…` or `nats://…` for several servers, `lmdb:<folder>` or `memory:` for one. Default:
 * LMDB in the data folder.
 *
 * @throws Error that says what would do, for people to read.
 */
export function logFromEnvironment(value: string | undefined, dataDir: string): DemoLog {
  if (!value) return { log: lmdbLog({ path: join(dataDir, "events") }), shared: false };
  const { scheme = "", rest = "" } = /^(?<scheme>[a-z]+):(?<rest>.*)$/s.exec(value)?.groups ?? {};
  switch (scheme) {
    case "memory":
      if (rest === "") return { log: memoryLog(), shared: false };
      break;
    case "lmdb":
      if (rest !== "") return { log: lmdbLog({ path: rest }), shared: false };
      break;
    case "redis":
    case "rediss":
      if (isAddress(value)) return { log: redisLog({ url: value, name: NAME }), shared: true };
      break;
    case "nats":
    case "tls": {
      const servers = value.split(",");
      if (servers.every(isAddress)) {
        return { log: natsLog({ servers, name: NAME }), shared: true };
      }
    }
  }
  // No more of it than its beginning: there may be a password in it.
  throw new Error(
    `LOG is "${value.slice(0, value.indexOf(":") + 1)}…", but can be redis://host:port or nats://host:port (with TLS: rediss://, ` +
      "tls://), lmdb:<folder>, memory:, or nothing, for LMDB in DATA_DIR.",
  );
}

function isAddress(text: string): boolean {
  return /^\w+:\/\/./.test(text) && URL.canParse(text);
}
