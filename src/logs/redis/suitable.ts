import { EverstreamError } from "../../errors.ts";
import type { ClientKind } from "./client.ts";
import { tooOldError } from "./failure.ts";
import type { Lane } from "./lane.ts";
import type { RedisSettings } from "./options.ts";
import { PROBE } from "./scripts.ts";

/**
 * Checks whether a log can stand on this server. Answers with how scripts are to push: "s" to those who listen at the
 * shard, "p" to all who listen, "c" to all who listen anywhere in a cluster.
 *
 * @param offer Answers with a number for a new epoch, which begins here where the data is another than before.
 * @throws EverstreamError `LOG_UNSUITABLE`.
 */
export async function assertSuitable(
  { timeoutMs, keys }: RedisSettings,
  lane: Lane,
  kind: ClientKind,
  offer: () => string,
): Promise<"s" | "p" | "c"> {
  const server = String(await lane.send(["INFO", "server"], timeoutMs));
  const version = fieldOf(server, "redis_version") ?? "0";
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major < 6 || (major === 6 && minor < 2)) {
    throw tooOldError(version);
  }
  if (fieldOf(server, "run_id") === undefined) {
    throw unsuitable(
      "This server does not say which one it is (`run_id` in `INFO server`), so that nobody would notice when it has lost data. Use one that does.",
    );
  }
  const isClustered =
    fieldOf(String(await lane.send(["INFO", "cluster"], timeoutMs)), "cluster_enabled") === "1";
  if (isClustered && kind !== "cluster") {
    throw unsuitable("This server is part of a Redis Cluster: give a client of createCluster() as `client`.");
  }
  const policy = fieldOf(String(await lane.send(["INFO", "memory"], timeoutMs)), "maxmemory_policy") ?? "";
  if (policy.startsWith("allkeys-")) {
    throw unsuitable(
      `Redis' \`maxmemory-policy\` is ${policy}: when memory is short it would silently throw away events that were accepted. Set it to noeviction, and use another Redis for caches.`,
    );
  }
  const isCluster = kind === "cluster";
  const mode = isCluster ? (major >= 7 ? "s" : "c") : "p";
  await lane.run(PROBE, ["", offer(), randomName(), mode, `${keys}m:probe`], timeoutMs);
  return mode;
}

function randomName(): string {
  return String(Math.random()).slice(2);
}

function fieldOf(info: string, name: string): string | undefined {
  return new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(info)?.[1];
}

function unsuitable(message: string): EverstreamError {
  return new EverstreamError("LOG_UNSUITABLE", message);
}
