import { streamRun } from "everstream/hono";
import type { Hono } from "hono";
import { type DemoEnv, problem, readObject } from "../http.ts";
import type { Work } from "../runs.ts";
import { processUpload, STEPS } from "./process.ts";
import { receiveFile } from "./receive.ts";
import type { Uploads } from "./store.ts";

interface Options {
  readonly uploads: Uploads;
  readonly work: Work;
  readonly maxBytes: number;
}

/**
 * `POST /upload`, a multipart form, and `POST /upload/process`, which streams the progress of real work on it. The work is
 * a run: asked for again, or by `GET /runs/:id` after a reload, it is joined. To who accepts JSON alone it tells that id.
 */
export function addUploads(api: Hono<DemoEnv>, { uploads, work, maxBytes }: Options): void {
  api.post("/upload", async (c) => {
    const { fileId, path } = uploads.reserve(maxBytes);
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
    const id = await freeId(work, fileId);
    const { joined } = await work.runs.start({
      id,
      steps: STEPS,
      produce: (run) => processUpload(upload, run),
    });
    if (!joined) await work.show("upload", id);
    return c.req.header("accept") === "application/json"
      ? c.json({ run: id }, 201)
      : streamRun(c, work.runs, id);
  });
}

/** How often the work on a file may fail; each new try looks at those before. */
const MAX_ATTEMPTS = 10;

/** The id of the work on a file: that of the last try, or, where this one failed, of the next. */
async function freeId({ runs }: Work, fileId: string): Promise<string> {
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const id = `upload-${fileId}-${attempt}`;
    const found = await runs.find(id);
    const hasFailed = found.kind === "run" && !["running", "done"].includes(found.info.state);
    if (found.kind !== "expired" && !hasFailed) return id;
  }
  throw problem(409, `the work on this file was tried ${MAX_ATTEMPTS} times; upload it again`);
}
