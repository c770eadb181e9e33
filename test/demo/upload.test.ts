import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { collectEvents, connectRaw, rawRequest } from "everstream/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ProcessRun, processUpload } from "../../demo/server/uploads/process.ts";
import { openUploads, type Upload } from "../../demo/server/uploads/store.ts";
import { type DemoServer, ownEvents, problemOf, serveDemo } from "./serve-demo.ts";

const LIMIT = 4 * 1024 * 1024;

let demo: DemoServer;
beforeAll(async () => {
  demo = await serveDemo({ maxUploadBytes: LIMIT });
});
afterAll(() => demo.close());

function upload(content: Uint8Array | string, name = "a.bin", type = ""): Promise<Response> {
  const form = new FormData();
  form.append("file", new Blob([content as BlobPart], { type }), name);
  return demo.api("/upload", { method: "POST", body: form });
}

async function uploadId(content: Uint8Array | string, name?: string, type?: string): Promise<string> {
  const response = await upload(content, name, type);
  expect(response.status).toBe(201);
  return ((await response.json()) as { fileId: string }).fileId;
}

async function process(fileId: string): Promise<{ event: string; data: Record<string, unknown> }[]> {
  const events = ownEvents(await collectEvents(await demo.post("/upload/process", { fileId })));
  return events.map(({ event, data }) => ({ event, data: JSON.parse(data) as Record<string, unknown> }));
}

const files = (): Promise<string[]> => readdir(join(demo.dataDir, "uploads"));

describe("POST /api/upload", () => {
  test("stores the file as it is and answers an id that nobody can guess", async () => {
    const content = randomBytes(300_000);
    const response = await upload(content, "photo.jpg", "image/jpeg");
    const { fileId, ...info } = (await response.json()) as { fileId: string };
    expect(fileId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(info).toEqual({ name: "photo.jpg", type: "image/jpeg", bytes: content.length });
    expect((await readFile(join(demo.dataDir, "uploads", fileId))).equals(content)).toBe(true);
  });

  test("takes a file of exactly the limit and none that is one byte larger", async () => {
    await uploadId(new Uint8Array(LIMIT));
    const before = await files();
    expect(await problemOf(await upload(new Uint8Array(LIMIT + 1)))).toEqual({
      status: 413,
      error: `the file is larger than the limit of ${LIMIT} bytes`,
    });
    expect(await files()).toEqual(before);
  });

  test("has read a file that is too large to its end before it says so, or the answer might be lost", async () => {
    const before = new Set(await files());
    const form = openForm(demo.port);
    const answered: number[] = [];
    void form.status.then((status) => answered.push(status));
    form.write(Buffer.alloc(LIMIT + 1, "a"));
    await expect.poll(async () => (await files()).some((name) => !before.has(name))).toBe(true);
    // What came after it was answered.
    expect((await upload("small")).status).toBe(201);
    expect(answered).toEqual([]);
    form.end();
    expect(await form.status).toBe(413);
  });

  test("refuses by its announced length what is far too large, without reading it", async () => {
    const raw = await rawRequest(demo, "/api/upload", {
      method: "POST",
      headers: { "Content-Type": "multipart/form-data; boundary=x", "Content-Length": String(10 * LIMIT) },
    });
    expect(raw.status).toBe(413);
    raw.destroy();
  });

  test("writes to disk while the file is still arriving", async () => {
    const before = new Set(await files());
    const form = openForm(demo.port);
    form.write(Buffer.alloc(1024 * 1024, "a"));
    const arrived = async (): Promise<number> => {
      const fresh = (await files()).find((name) => !before.has(name));
      return fresh === undefined ? 0 : (await stat(join(demo.dataDir, "uploads", fresh))).size;
    };
    await expect.poll(arrived).toBeGreaterThan(900_000);
    form.end();
    expect(await form.status).toBe(201);
  });

  test("a client that leaves in the middle leaves nothing behind", async () => {
    const before = await files();
    const form = openForm(demo.port);
    form.write(Buffer.alloc(1024 * 1024, "a"));
    await expect.poll(files).toHaveLength(before.length + 1);
    form.destroy();
    await expect.poll(files).toEqual(before);
  });

  const bad: [string, string, string, number, RegExp][] = [
    ["another type", "application/json", "{}", 415, /multipart\/form-data/],
    ["no boundary", "multipart/form-data", "x", 400, /boundary/],
    ["no file", "multipart/form-data; boundary=x", field("x", "note", "hello"), 400, /no file/],
    [
      "an unfinished form",
      "multipart/form-data; boundary=x",
      '--x\r\nContent-Disposition: form-data; name="a"; f',
      400,
      /broken|no file/,
    ],
    [
      "two files",
      "multipart/form-data; boundary=x",
      `${file("x", "a")}${file("x", "b")}--x--\r\n`,
      400,
      /one file/,
    ],
  ];
  test.each(bad)("%s is refused, and why", async (_, type, body, status, message) => {
    const before = await files();
    const response = await demo.api("/upload", { method: "POST", headers: { "content-type": type }, body });
    const problem = await problemOf(response);
    expect(problem.status).toBe(status);
    expect(problem.error).toMatch(message);
    expect(await files()).toEqual(before);
  });

  test("a name with a path in it leads nowhere", async () => {
    const fileId = await uploadId("x", "../../../etc/passwd");
    expect((await files()).filter((name) => name.startsWith(fileId))).toHaveLength(2);
  });
});

describe("POST /api/upload/process", () => {
  test("validates, hashes and compresses the file, with the seed's steps and real fractions", async () => {
    const content = Buffer.from("The quick brown fox. ".repeat(100_000));
    const fileId = await uploadId(content, "fox.txt", "text/plain");
    const events = await process(fileId);
    const done = events.pop();
    const gz = await readFile(join(demo.dataDir, "uploads", `${fileId}.gz`));
    expect(done).toEqual({
      event: "done",
      data: {
        fileId,
        status: "complete",
        name: "fox.txt",
        type: "text/plain",
        bytes: content.length,
        sha256: createHash("sha256").update(content).digest("hex"),
        compressedBytes: gz.length,
      },
    });
    expect(gunzipSync(gz).equals(content)).toBe(true);

    expect(events.shift()).toMatchObject({ event: "run", data: { state: "running" } });
    expect(new Set(events.map(({ event }) => event))).toEqual(new Set(["progress"]));
    const steps = events.map(({ data }) => data.step);
    expect([...new Set(steps)]).toEqual(["Validating", "Processing", "Optimizing", "Complete"]);
    const percents = events.map(({ data }) => data.progress as number);
    expect(percents).toEqual([...percents].sort((a, b) => a - b));
    expect(percents[0]).toBe(0);
    expect(percents.at(-1)).toBe(100);
  });

  test("finds the type by the file's first bytes", async () => {
    const png = Buffer.concat([
      Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
      randomBytes(100),
    ]);
    const events = await process(await uploadId(png, "x", "application/octet-stream"));
    expect(events.at(-1)?.data).toMatchObject({ status: "complete", type: "image/png" });
  });

  const refused: [string, Uint8Array | string, string, string][] = [
    ["an empty file", "", "text/plain", "EMPTY_FILE"],
    ["a text sent as an image", "not an image", "image/png", "WRONG_TYPE"],
    ["an image sent as another kind", Buffer.from("GIF89a..."), "image/png", "WRONG_TYPE"],
    ["a binary sent as text", Uint8Array.of(65, 0, 66), "text/plain", "WRONG_TYPE"],
  ];
  test.each(refused)("refuses %s with an error event", async (_, content, type, code) => {
    const events = await process(await uploadId(content, "x", type));
    expect(events.at(-1)).toEqual({ event: "error", data: { code, message: expect.any(String) } });
    expect(events.some(({ event }) => event === "done")).toBe(false);
  });

  test("sees that a file is not what was received", async () => {
    const fileId = await uploadId("12345", "x", "text/plain");
    await writeFile(join(demo.dataDir, "uploads", fileId), "123");
    const events = await process(fileId);
    expect(events.at(-1)).toMatchObject({ event: "error", data: { code: "FILE_CHANGED" } });
  });

  test("goes on when its client leaves, and who comes back gets the rest", async () => {
    const fileId = await uploadId("the beginning");
    const path = join(demo.dataDir, "uploads", fileId);
    await rm(path);
    execFileSync("mkfifo", [path]);
    const raw = await rawRequest(demo, "/api/upload/process", {
      method: "POST",
      body: JSON.stringify({ fileId }),
    });
    await raw.until("Validating");
    raw.destroy();
    const asked = await demo.post("/upload/process", { fileId }, { accept: "application/json" });
    const { run } = (await asked.json()) as { run: string };
    // What was received and what is read differ, which only a reader of the whole file finds out.
    await writeFile(path, "another end");
    const events = ownEvents(await collectEvents(await demo.api(`/runs/${run}`)));
    expect(events.at(-1)).toMatchObject({ event: "error" });
    expect(JSON.parse(events.at(-1)?.data ?? "")).toMatchObject({ code: "FILE_CHANGED" });
  });

  test("is done once for each file, and once more where it failed", async () => {
    const fileId = await uploadId("12345", "x", "text/plain");
    const path = join(demo.dataDir, "uploads", fileId);
    await writeFile(path, "123");
    expect((await process(fileId)).at(-1)?.event).toBe("error");
    await writeFile(path, "12345");
    const done = (await process(fileId)).at(-1);
    expect(done?.event).toBe("done");
    await rm(path);
    expect((await process(fileId)).at(-1)).toEqual(done);
  });

  test("stops the work when it is told to", async () => {
    const fileId = await uploadId("the beginning");
    const path = join(demo.dataDir, "uploads", fileId);
    // A file without end: whoever does not stop reading it keeps this test from ending.
    await rm(path);
    execFileSync("mkfifo", [path]);
    const file = createWriteStream(path);
    const closed = once(file, "error");

    const raw = await rawRequest(demo, "/api/upload/process", {
      method: "POST",
      body: JSON.stringify({ fileId }),
    });
    await raw.until("Validating");
    const { id } = JSON.parse(raw.events.find(({ event }) => event === "run")?.data ?? "") as { id: string };
    expect((await demo.api(`/runs/${id}`, { method: "DELETE" })).status).toBe(204);
    const writing = setInterval(() => file.write(Buffer.alloc(64 * 1024)), 1);
    const [error] = await closed;
    clearInterval(writing);
    expect(error).toMatchObject({ code: "EPIPE" });
    expect((await files()).filter((name) => name.startsWith(`${fileId}.gz`))).toEqual([]);
  });

  test("an abort while it compresses leaves no half file behind", async () => {
    const uploads = openUploads(demo.dataDir);
    const upload = (await uploads.find(await uploadId(randomBytes(LIMIT)))) as Upload;
    uploads.close();
    const controller = new AbortController();
    let step = "";
    const run: ProcessRun = {
      signal: controller.signal,
      step: async (name) => {
        step = name;
      },
      progress: () => {
        if (step === "Optimizing") controller.abort(new Error("left"));
      },
    };
    await expect(processUpload(upload, run)).rejects.toThrow();
    expect(step).toBe("Optimizing");
    expect((await files()).filter((name) => name.startsWith(`${upload.fileId}.gz`))).toEqual([]);
  });

  test.each([[{}], [{ fileId: 7 }]])("needs an id: %j", async (body) => {
    expect((await problemOf(await demo.post("/upload/process", body))).status).toBe(400);
  });

  test.each([
    ["00000000-0000-4000-8000-000000000000"],
    ["../session-key"],
    ["..%2fsession-key"],
    ["."],
    [""],
  ])("knows no upload %j", async (fileId) => {
    expect(await problemOf(await demo.post("/upload/process", { fileId }))).toEqual({
      status: 404,
      error: "there is no upload with this fileId",
    });
  });
});

test("no id leads out of the folder", async () => {
  // What would be found if the id became part of a path as it is.
  await writeFile(join(demo.dataDir, "outside"), "secret");
  await writeFile(join(demo.dataDir, "outside.json"), JSON.stringify({ name: "x", type: "", bytes: 6 }));
  expect((await demo.post("/upload/process", { fileId: "../outside" })).status).toBe(404);
});

test("a file whose work has failed ten times is worked on no more", async () => {
  const fileId = await uploadId("no picture", "x.png", "image/png");
  for (let attempt = 0; attempt < 10; attempt++) {
    expect((await process(fileId)).at(-1)).toMatchObject({ event: "error", data: { code: "WRONG_TYPE" } });
  }
  const problem = await problemOf(await demo.post("/upload/process", { fileId }));
  expect(problem).toEqual({ status: 409, error: expect.stringContaining("upload it again") });
});

test("no more is stored than there is room for, counting files on their way and their compressed forms", async () => {
  const small = await serveDemo({ maxUploadBytes: 100, maxStoredBytes: 500 });
  const send = async (bytes: number): Promise<number> => {
    const form = new FormData();
    form.append("file", new Blob([new Uint8Array(bytes)]), "a.bin");
    return (await small.api("/upload", { method: "POST", body: form })).status;
  };
  try {
    expect([await send(100), await send(101), await send(50)]).toEqual([201, 413, 201]);
    // One that waits for the rest of its file holds its place.
    const { socket } = await connectRaw(small);
    const head = "POST /api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300\r\n";
    const part = '--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\nhi';
    const known = new Set(await readdir(join(small.dataDir, "uploads")));
    socket.write(`${head}Content-Type: multipart/form-data; boundary=b\r\n\r\n${part}`);
    const isNew = async (): Promise<boolean> =>
      (await readdir(join(small.dataDir, "uploads"))).some((name) => !known.has(name));
    await expect.poll(isNew).toBe(true);
    expect(await send(1)).toBe(507);
    socket.destroy();
    await expect.poll(() => send(100)).toBe(201);
    expect(await send(1)).toBe(507);
  } finally {
    await small.close();
  }
});

test("uploads older than a day are swept away, younger ones stay", async () => {
  const [old, young] = [await uploadId("old"), await uploadId("young")];
  const yesterday = new Date(Date.now() - 25 * 60 * 60 * 1000);
  for (const name of (await files()).filter((one) => one.startsWith(old))) {
    await utimes(join(demo.dataDir, "uploads", name), yesterday, yesterday);
  }
  const uploads = openUploads(demo.dataDir);
  await uploads.sweep();
  uploads.close();
  expect(await uploads.find(old)).toBeUndefined();
  expect(await uploads.find(young)).toMatchObject({ bytes: 5 });
});

function file(boundary: string, content: string): string {
  return `--${boundary}\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n${content}\r\n`;
}

function field(boundary: string, name: string, value: string): string {
  return `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n--${boundary}--\r\n`;
}

interface OpenForm {
  readonly status: Promise<number>;
  write(content: Buffer): void;
  end(): void;
  destroy(): void;
}

/** A form whose file is sent bit by bit. */
function openForm(port: number): OpenForm {
  const outgoing = request({
    port,
    method: "POST",
    path: "/api/upload",
    headers: { "Content-Type": "multipart/form-data; boundary=x" },
  });
  outgoing.write('--x\r\nContent-Disposition: form-data; name="f"; filename="slow"\r\n\r\n');
  const status = new Promise<number>((resolve) => {
    outgoing.on("response", (response) => resolve(response.resume().statusCode ?? 0));
    // Our own `destroy` is reported as an error, too.
    outgoing.on("error", () => resolve(0));
  });
  return {
    status,
    write: (content) => void outgoing.write(content),
    end: () => void outgoing.end("\r\n--x--\r\n"),
    destroy: () => void outgoing.destroy(),
  };
}
