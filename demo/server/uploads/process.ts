import { createHash, randomUUID } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { rename, rm, stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import type { Progress } from "everstream";
import { contradiction, detectType, HEAD_BYTES } from "./file-type.ts";
import type { Upload } from "./store.ts";

/** The steps of processing, with the time they take relative to each other. */
export const STEPS = [
  { name: "Validating", weight: 1 },
  { name: "Processing", weight: 2 },
  { name: "Optimizing", weight: 7 },
  { name: "Complete", weight: 0 },
] as const;

export type StepName = (typeof STEPS)[number]["name"];

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

const READ_BYTES = 256 * 1024;

/**
 * Validates, hashes and compresses a file, and ends `progress` with `done` or `error`. Rejects with the signal's reason
 * when that aborts.
 */
export async function processUpload(
  upload: Upload,
  progress: Progress<StepName>,
  signal: AbortSignal,
): Promise<void> {
  await progress.step("Validating");
  const checked = await validate(upload, progress, signal);
  if ("code" in checked) return progress.fail(checked);

  await progress.step("Processing");
  const sha256 = await hash(upload, progress, signal);

  await progress.step("Optimizing");
  const compressedBytes = await compress(upload, progress, signal);

  await progress.step("Complete");
  const { fileId, name, bytes } = upload;
  const processed: Processed = {
    fileId,
    status: "complete",
    name,
    type: checked.type,
    bytes,
    sha256,
    compressedBytes,
  };
  await progress.done(processed);
}

/** Reads the file once: all of it must be there, and be what it says it is. */
async function validate(
  upload: Upload,
  progress: Progress<StepName>,
  signal: AbortSignal,
): Promise<Refusal | { type: string }> {
  if (upload.bytes === 0) return { code: "EMPTY_FILE", message: "The file is empty." };
  let head = Buffer.alloc(0);
  let zeros = false;
  let bytes = 0;
  for await (const chunk of read(upload, signal)) {
    if (head.length < HEAD_BYTES) head = Buffer.concat([head, chunk.subarray(0, HEAD_BYTES - head.length)]);
    zeros ||= chunk.includes(0);
    bytes += chunk.length;
    progress.report({ done: bytes, total: upload.bytes, unit: "bytes" });
  }
  if (bytes !== upload.bytes) {
    return {
      code: "FILE_CHANGED",
      message: `The file has ${bytes} bytes, but ${upload.bytes} were received.`,
    };
  }
  const detected = detectType(head);
  const message = contradiction(upload.type, detected, zeros);
  if (message !== undefined) return { code: "WRONG_TYPE", message };
  return { type: detected ?? upload.type };
}

async function hash(upload: Upload, progress: Progress<StepName>, signal: AbortSignal): Promise<string> {
  const sha256 = createHash("sha256");
  let done = 0;
  for await (const chunk of read(upload, signal)) {
    sha256.update(chunk);
    done += chunk.length;
    progress.report({ done, total: upload.bytes, unit: "bytes" });
  }
  return sha256.digest("hex");
}

async function compress(upload: Upload, progress: Progress<StepName>, signal: AbortSignal): Promise<number> {
  // A file of its own until it is whole: the same upload may be processed twice at once, or a client may leave.
  const fresh = `${upload.compressedPath}.${randomUUID()}.tmp`;
  let done = 0;
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const chunk of read(upload, signal)) {
      yield chunk;
      done += chunk.length;
      progress.report({ done, total: upload.bytes, unit: "bytes" });
    }
  }
  try {
    await pipeline(counted, createGzip(), createWriteStream(fresh), { signal });
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
