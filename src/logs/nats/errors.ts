import { errors } from "@nats-io/transport-node";
import { EverstreamError, isEverstreamError } from "../../errors.ts";

/** What JetStream answers instead of a result. */
export interface ApiFault {
  readonly code: number;
  readonly err_code?: number;
  readonly description?: string;
}

/** Codes of JetStream's own errors that mean something to us. */
export const FAULT = {
  wrongLastSequence: 10071,
  streamNotFound: 10059,
  streamNameInUse: 10058,
  filterIsForeign: 10093,
  noPeers: 10005,
  notClustered: 10074,
  notEnabled: 10076,
  notEnabledForAccount: 10039,
} as const;

/** Codes of Node's for certificates that can't be verified. */
const CERTIFICATE = /CERT|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER/;
const NO_ROOM = /insufficient|resource limits|maximum .* exceeded|no space/i;

/** JetStream's refusal of a request. */
export class JetStreamFault extends Error {
  override readonly name = "JetStreamFault";
  readonly fault: ApiFault;

  constructor(fault: ApiFault) {
    super(fault.description ?? `JetStream answered with the code ${fault.code}`);
    this.fault = fault;
  }

  /** Whether another try may do better: the server has no leader at the moment, say, rather than no room. */
  get isPassing(): boolean {
    return this.fault.code >= 503 && !NO_ROOM.test(this.message);
  }

  is(code: number): boolean {
    return this.fault.err_code === code;
  }
}

export function isFault(error: unknown, code: number): boolean {
  return error instanceof JetStreamFault && error.is(code);
}

/** Nobody took a request. */
export class NobodyAnswers extends Error {
  override readonly name = "NobodyAnswers";
}

/** A request's answer did not come in time, or the connection ended before. Whether it had an effect is open. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
}

/** Something that was to be read is gone meanwhile. */
export const TRIMMED = Symbol("trimmed");

/** Whether another try may do better. */
export function isPassing(error: unknown): boolean {
  if (error instanceof NoAnswer || error instanceof NobodyAnswers || error === TRIMMED) return true;
  return error instanceof JetStreamFault && error.isPassing;
}

export function logFailed(message: string, cause?: unknown): EverstreamError {
  return new EverstreamError("LOG_FAILED", message, cause === undefined ? undefined : { cause });
}

export function unsuitable(message: string, cause?: unknown): EverstreamError {
  return new EverstreamError("LOG_UNSUITABLE", message, cause === undefined ? undefined : { cause });
}

/** What to say where the time is over: why there was no connection, where somebody can do something about that. */
export function lateFailure(message: string, why: unknown): EverstreamError {
  const failure = why === undefined ? undefined : failureOf(why, "reach the server");
  return failure?.code === "LOG_UNSUITABLE" ? failure : logFailed(message, why);
}

/** Says what a failure means to whoever runs the server. `what` was to be done, as in "could not …". */
export function failureOf(error: unknown, what: string): EverstreamError {
  if (isEverstreamError(error)) return error;
  if (error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError) {
    return unsuitable(
      `The NATS server refused to let the log in: ${error.message}. Give natsLog the user, password, token or ` +
        "authenticator that the server asks for.",
      error,
    );
  }
  if (error instanceof errors.PermissionViolationError) {
    return unsuitable(
      `The NATS user may not ${error.operation === "publish" ? "publish to" : "subscribe to"} ` +
        `"${error.subject}", which the log needs. Allow it in the server's permissions.`,
      error,
    );
  }
  if (CERTIFICATE.test((error as { code?: unknown } | null)?.code?.toString() ?? "")) {
    return unsuitable(
      `The NATS server's certificate is not trusted: ${messageOf(error)}. Give natsLog the authority that has signed it, as ` +
        "`connect: { tls: { ca } }`, and in `servers` the name that it is made out to.",
      error,
    );
  }
  if (error instanceof JetStreamFault) return jetStreamFailure(error, what);
  return logFailed(`The NATS log could not ${what}: ${messageOf(error)}.`, error);
}

function jetStreamFailure(error: JetStreamFault, what: string): EverstreamError {
  if (error.is(FAULT.notEnabled) || error.is(FAULT.notEnabledForAccount)) return noJetStream(error);
  if (error.is(FAULT.noPeers) || error.is(FAULT.notClustered)) {
    return unsuitable(
      "There are fewer NATS servers to keep the stream than its `replicas` asks for: add servers to the cluster, start those " +
        `that are down, or ask for less (${error.message}).`,
      error,
    );
  }
  if (/maximum (bytes|messages) exceeded/i.test(error.message)) {
    return logFailed(
      "The NATS log's stream is full: it has as many bytes as its `maxBytes` allows, and nothing that was accepted is " +
        "dropped for new events. Raise `maxBytes`, or have the hub's retention keep less.",
      error,
    );
  }
  if (NO_ROOM.test(error.message)) {
    return logFailed(
      `The NATS server has no room: ${error.message}. Give JetStream more storage, or have the hub's retention keep less.`,
      error,
    );
  }
  return logFailed(`The NATS log could not ${what}: ${error.message}.`, error);
}

export function noJetStream(cause?: unknown): EverstreamError {
  return unsuitable(
    "The NATS server has no JetStream for this account, which is what keeps events. Start it with `--jetstream`, or enable " +
      "JetStream for the account.",
    cause,
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function tooLarge(maxPayload: number): EverstreamError {
  return new EverstreamError(
    "EVENT_TOO_LARGE",
    `A publish is one message for the NATS server, which takes none over ${maxPayload} bytes: publish less at once, or raise ` +
      "the server's `max_payload`. Nothing was stored.",
  );
}
