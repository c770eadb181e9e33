import { EverstreamError, isEverstreamError } from "../errors.ts";
import { report } from "../session/report.ts";
import { expiryOf, type RespondOptions } from "./options.ts";
import { type Refused, refusal } from "./refusal.ts";
import type { RequestHead } from "./respond.ts";
import { assertHeaders } from "./respond-options.ts";
import { type Authorize, type Rights, readVerdict, rightsOf } from "./rights.ts";

/** What a client may read, and until when. */
export interface Leave {
  readonly rights: Rights;
  /** In milliseconds as `Date.now()` gives them; infinite for always. */
  readonly expiresAt: number;
}

/**
 * Asks the options what the client may read.
 *
 * @throws EverstreamError `INVALID_OPTION` for the options `expiresAt` and `topics`.
 */
export function askLeave(
  head: RequestHead,
  options: RespondOptions,
  maxTopics: number,
): Leave | Refused | Promise<Leave | Refused> {
  const expiresAt = expiryOf(options.expiresAt);
  let rights: Rights;
  try {
    rights = rightsOf(options.topics, maxTopics);
  } catch (error) {
    // Topics may be the client's to name; how rights are spelt is not.
    if (!isEverstreamError(error) || error.code === "INVALID_OPTION") throw error;
    return refusal("bad-topics", 400, error);
  }
  const { authorize } = options;
  return authorize === undefined
    ? { rights, expiresAt }
    : askAuthorize(authorize, head, { rights, expiresAt }, maxTopics);
}

async function askAuthorize(
  authorize: Authorize,
  head: RequestHead,
  { rights, expiresAt }: Leave,
  maxTopics: number,
): Promise<Leave | Refused> {
  try {
    const answer = readVerdict(await authorize(head, rights.topics));
    if ("refusal" in answer) {
      const { status, message = "You may not read this.", code = "FORBIDDEN", headers } = answer.refusal;
      if (headers !== undefined) assertHeaders(headers);
      return refusal("forbidden", status, { message, code }, headers);
    }
    const { grant } = answer;
    return {
      rights: grant.topics === undefined ? rights : rightsOf(grant.topics, maxTopics),
      expiresAt: Math.min(expiresAt, expiryOf(grant.expiresAt)),
    };
  } catch (error) {
    report("`authorize` failed", error);
    const failure = new EverstreamError("CALLBACK_FAILED", "The server could not decide; try again.");
    return refusal("failed", 500, failure);
  }
}

/** The answer to a client whose rights have ended, if they have. */
export function expired({ expiresAt }: Leave): Refused | undefined {
  if (expiresAt > Date.now()) return undefined;
  const error = new EverstreamError("RIGHTS_EXPIRED", "The right to read this has expired; renew it.");
  return refusal("expired", 403, error);
}
