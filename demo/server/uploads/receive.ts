import { createWriteStream } from "node:fs";
import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { finished, pipeline } from "node:stream/promises";
import { Busboy, type BusboyFileStream, type BusboyHeaders } from "@fastify/busboy";
import { problem } from "../http.ts";
import type { UploadInfo } from "./store.ts";

/** What a form may hold beside its file, in bytes: boundaries, headers, other fields. */
const FORM_OVERHEAD = 64 * 1024;

/**
 * Writes the one file of a multipart form to `path` as it arrives, at the disk's pace.
 *
 * It reads Node's own request and never destroys it, since the answer to a file that is refused goes over the same
 * socket.
 *
 * @throws HTTPException 400, 413 or 415; whatever was written is the caller's to remove.
 */
export async function receiveFile(
  incoming: IncomingMessage,
  path: string,
  maxBytes: number,
): Promise<UploadInfo> {
  if (Number(incoming.headers["content-length"]) > maxBytes + FORM_OVERHEAD) throw tooLarge(maxBytes);
  const form = formParser(incoming, maxBytes);
  const writing = new AbortController();
  let part: FilePart | undefined;

  const parsed = new Promise<void>((resolve, reject) => {
    form.on("file", (_field, file, name, _encoding, type) => {
      file.once("limit", () => reject(tooLarge(maxBytes)));
      const written = pipeline(file as Readable, createWriteStream(path), { signal: writing.signal });
      part = { file, name: name ?? "", type, written };
      part.written.catch(reject);
    });
    form.on("filesLimit", () => reject(problem(400, "send one file at a time")));
    form.on("partsLimit", () => reject(problem(400, "the form has too many fields")));
    form.on("error", (error) => reject(problem(400, `the form is broken: ${(error as Error).message}`)));
    form.on("finish", resolve);
    finished(incoming, { writable: false }).catch(() => reject(problem(400, "the upload ended early")));
    incoming.pipe(form);
  });
  try {
    await parsed;
    if (part === undefined) throw problem(400, "the form holds no file");
    await part.written;
    return { name: part.name, type: part.type, bytes: part.file.bytesRead };
  } catch (error) {
    incoming.unpipe(form);
    // The file is closed before it is left to the caller, who removes it.
    writing.abort();
    await part?.written.catch(() => undefined);
    await readRest(incoming, maxBytes + FORM_OVERHEAD);
    throw error;
  }
}

/**
 * Reads what is left of a form that is refused, `maxBytes` of it at the most. Who still sends when the answer is complete
 * has its connection closed soon after, and may lose the answer with it.
 */
async function readRest(incoming: IncomingMessage, maxBytes: number): Promise<void> {
  const enough = new AbortController();
  let left = maxBytes;
  const onData = ({ length }: Buffer): void => {
    left -= length;
    if (left < 0) enough.abort();
  };
  // Its pipe has left it paused.
  incoming.on("data", onData).resume();
  await finished(incoming, { writable: false, signal: enough.signal }).catch(() => undefined);
  incoming.off("data", onData);
}

interface FilePart {
  readonly file: BusboyFileStream;
  readonly name: string;
  readonly type: string;
  readonly written: Promise<void>;
}

function formParser(incoming: IncomingMessage, maxBytes: number): InstanceType<typeof Busboy> {
  const type = incoming.headers["content-type"] ?? "";
  if (!/^multipart\/form-data\b/i.test(type)) throw problem(415, "send the file as multipart/form-data");
  if (!/;\s*boundary=/i.test(type)) throw problem(400, "the form's content type names no boundary");
  return new Busboy({
    headers: incoming.headers as BusboyHeaders,
    limits: { files: 1, fileSize: maxBytes, fields: 8, fieldSize: 4096, parts: 12, headerPairs: 64 },
  });
}

function tooLarge(maxBytes: number): Error {
  return problem(413, `the file is larger than the limit of ${maxBytes} bytes`);
}
