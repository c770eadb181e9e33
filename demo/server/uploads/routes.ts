import { createProgress } from "everstream";
import { streamSSE } from "everstream/hono";
import type { Hono } from "hono";
import { type DemoEnv, problem, readObject } from "../http.ts";
import { processUpload, STEPS } from "./process.ts";
import { receiveFile } from "./receive.ts";
import type { Uploads } from "./store.ts";

/** `POST /upload`, a multipart form, and `POST /upload/process`, which streams the progress of real work on it. */
export function addUploads(
  api: Hono<DemoEnv>,
  { uploads, maxBytes }: { uploads: Uploads; maxBytes: number },
): void {
  api.post("/upload", async (c) => {
    const { fileId, path } = uploads.reserve();
    try {
      const info = await receiveFile(c.env.incoming, path, maxBytes);
      await uploads.keep(fileId, info);
      return c.json({ fileId, ...info }, 201);
    } catch (error) {
      await uploads.discard(fileId);
      throw error;
    }
  });

  api.post("/upload/process", async (c) => {
    const { fileId } = await readObject(c.req.raw);
    if (typeof fileId !== "string")
      throw problem(400, "fileId is missing; it is what POST /api/upload answered");
    const upload = await uploads.find(fileId);
    if (upload === undefined) throw problem(404, "there is no upload with this fileId");
    return streamSSE(c, (stream) =>
      processUpload(upload, createProgress(stream, { steps: STEPS }), stream.signal),
    );
  });
}
