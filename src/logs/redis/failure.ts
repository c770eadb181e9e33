import { EverstreamError, isEverstreamError } from "../../errors.ts";

/**
 * What Redis says while it can't do something that it, or another server in its place, will be able to do again. Before
 * Redis 7 what a script meets stands inside a longer message.
 */
const PASSING =
  /\b(LOADING|READONLY|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|MOVED|ASK|BUSY|NOREPLICAS|UNBLOCKED|max number of clients)\b/;
const NO_PRIMARY = /\b(READONLY|MASTERDOWN)\b/;
const NO_LOGIN = /\b(NOAUTH|WRONGPASS)\b|invalid password/;
/** What a server of before Redis 6 says to a client's first words. */
const NO_HELLO = /unknown command [`'"]?HELLO\b/i;
const NO_RIGHTS = /\bNOPERM\b|The user executing the script can't|no permissions to/i;

/** Whether an error is an answer of the server's, and not a lost connection. */
function isAnswer(error: unknown): error is Error {
  return error instanceof Error && /^(SimpleError|BlobError|ErrorReply)$/.test(error.constructor.name);
}

/** Whether the server was not there to answer, or was not waited for any longer. */
export function isUnanswered(error: unknown): boolean {
  return !isEverstreamError(error) && !isAnswer(error);
}

/** Whether what failed so is worth another try. */
export function isPassing(error: unknown): boolean {
  return isUnanswered(error) || (isAnswer(error) && PASSING.test(error.message));
}

/** Whether a server says that it is not, or no longer, the primary: another one may be at its address by now. */
export function isNoPrimary(error: unknown): boolean {
  return isAnswer(error) && NO_PRIMARY.test(error.message);
}

export function isNoScript(error: unknown): boolean {
  return isAnswer(error) && error.message.startsWith("NOSCRIPT");
}

function isForbidden(error: unknown): error is Error {
  return isAnswer(error) && (NO_LOGIN.test(error.message) || NO_RIGHTS.test(error.message));
}

/** Whether a server that answers so will not answer otherwise the next time. */
export function isFinal(error: unknown): error is Error {
  return isForbidden(error) || (isAnswer(error) && NO_HELLO.test(error.message));
}

export function tooOldError(version: string, cause?: unknown): EverstreamError {
  const message = `This is Redis ${version}, and the log needs what came with 6.2; use that or a later one, or Valkey.`;
  return new EverstreamError("LOG_UNSUITABLE", message, cause === undefined ? undefined : { cause });
}

/** An error of the log's for one of the client library's. */
export function redisError(work: string, error: unknown): EverstreamError {
  if (isEverstreamError(error)) return error;
  const text = error instanceof Error ? error.message : String(error);
  if (isFinal(error) && NO_HELLO.test(text)) return tooOldError("of before 6.0", error);
  if (isForbidden(error)) {
    const message = NO_RIGHTS.test(text)
      ? `Redis lets this user not do what the log needs (${text}). Give it the log's keys and channels, and the commands that docs/logs.md lists.`
      : `Redis refuses the user or password (${text}). Check \`url\`, or what \`client\` was made with.`;
    return new EverstreamError("LOG_UNSUITABLE", message, { cause: error });
  }
  const hint = /\bOOM\b/.test(text)
    ? " Redis is out of memory: raise `maxmemory`, or keep less by the hub's `retention`."
    : "";
  return new EverstreamError("LOG_FAILED", `Redis could not ${work}: ${text}.${hint}`, { cause: error });
}

export function closedError(): EverstreamError {
  return new EverstreamError("LOG_CLOSED", "The connection to the Redis log was closed.");
}
