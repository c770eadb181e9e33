import { createHash, randomUUID } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { rename, rm, stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import type { Run } from "everstream";
import { contradiction, detectType, HEAD_BYTES } from "./file-type.ts";
import type { Upload } from "./store.ts";

/** The steps of processing, with the time they take relative to each other. */
export const STEPS = [
  { name: "Validating", weight: 1 },
  { name: "Processing", weight: 2 },
  { name: "Optimizing", weight: 7 },
  { name: "Complete", weight: 0 },
] as const;

/** What processing found out and made. */
export interface Processed {
  readonly fileId: string;
  readonly status: "complete";
  readonly name: string;
  /** The media type that the file's first bytes show, or else the one it was sent with. */
  readonly type: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly compressedBytes: number;
}

/** Why a file is refused: for the client to read. */
export interface Refusal {
  readonly code: "EMPTY_FILE" | "WRONG_TYPE" | "FILE_CHANGED";
  readonly message: string;
}

/** A file that is not what it has to be. */
export class Refused extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

/** The part of a run that processing needs. */
export type ProcessRun = Pick<Run, "step" | "progress" | "signal">;

const READ_BYTES = 256 * 1024;

/**
 * Validates, hashes and compresses a file. Rejects with `Refused` where it can't be processed, and with the signal's
 * reason when that aborts.
 */
export async function processUpload(upload: Upload, run: ProcessRun): Promise<Processed> {
  await run.step("Validating");
  const checked = await validate(upload, run);

  await run.step("Processing");
  const sha256 = await hash(upload, run);

  await run.step("Optimizing");
  const compressedBytes = await compress(upload, run);

  await run.step("Complete");
  const { fileId, name, bytes } = upload;
  return {
    fileId,
    status: "complete",
    name,
    type: checked.type,
    bytes,
    sha256,
    compressedBytes,
  };
}

/** Reads the file once: all of it must be there, and be what it says it is. */
async function validate(upload: Upload, run: ProcessRun): Promise<{ type: string }> {
  if (upload.bytes === 0) throw new Refused({ code: "EMPTY_FILE", message: "The file is empty." });
  let head = Buffer.alloc(0);
  let zeros = false;
  let bytes = 0;
  for await (const chunk of read(upload, run.signal)) {
    if (head.length < HEAD_BYTES) head = Buffer.concat([head, chunk.subarray(0, HEAD_BYTES - head.length)]);
    zeros ||= chunk.includes(0);
    bytes += chunk.length;
    run.progress({ done: bytes, total: upload.bytes, unit: "bytes" });
  }
  if (bytes !== upload.bytes) {
    const message = `The file has ${bytes} bytes, but ${upload.bytes} were received.`;
    throw new Refused({ code: "FILE_CHANGED", message });
  }
  const detected = detectType(head);
  const message = contradiction(upload.type, detected, zeros);
  if (message !== undefined) throw new Refused({ code: "WRONG_TYPE", message });
  return { type: detected ?? upload.type };
}

async function hash(upload: Upload, run: ProcessRun): Promise<string> {
  const sha256 = createHash("sha256");
  let done = 0;
  for await (const chunk of read(upload, run.signal)) {
    sha256.update(chunk);
    done += chunk.length;
    run.progress({ done, total: upload.bytes, unit: "bytes" });
  }
  return sha256.digest("hex");
}

async function compress(upload: Upload, run: ProcessRun): Promise<number> {
  // A file of its own until it is whole: the same upload may be processed twice at once, or a client may leave.
  const fresh = `${upload.compressedPath}.${randomUUID()}.tmp`;
  let done = 0;
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const chunk of read(upload, run.signal)) {
      yield chunk;
      done += chunk.length;
      run.progress({ done, total: upload.bytes, unit: "bytes" });
    }
  }
  try {
    await pipeline(counted, createGzip(), createWriteStream(fresh), { signal: run.signal });
    const { size } = await stat(fresh);
    await rename(fresh, upload.compressedPath);
    return size;
  } catch (error) {
    await rm(fresh, { force: true });
    throw error;
  }
}

async function* read({ path }: Upload, signal: AbortSignal): AsyncGenerator<Buffer> {
  for await (const chunk of createReadStream(path, { highWaterMark: READ_BYTES })) {
    // Leaving the loop closes the file.
    signal.throwIfAborted();
    yield chunk as Buffer;
  }
}
