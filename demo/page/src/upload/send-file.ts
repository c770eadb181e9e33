/** What `POST /api/upload` answers. */
export interface ReceivedFile {
  readonly fileId: string;
  readonly name: string;
  readonly bytes: number;
}

/** Sends a file. By XMLHttpRequest, since `fetch` does not tell how much has left. Rejects when `signal` aborts. */
export function sendFile(
  file: File,
  onProgress: (fraction: number) => void,
  signal: AbortSignal,
): Promise<ReceivedFile> {
  return new Promise((resolve, reject) => {
    const form = new FormData();
    form.append("file", file);
    const request = new XMLHttpRequest();
    request.responseType = "json";
    request.upload.onprogress = ({ loaded, total }) => onProgress(loaded / total);
    request.onload = () => {
      if (request.status < 300) resolve(request.response as ReceivedFile);
      else reject(new Error(messageIn(request.response) ?? `The server answered ${request.status}.`));
    };
    request.onerror = () => reject(new Error("The connection was lost during the upload."));
    request.onabort = () => reject(signal.reason);
    signal.addEventListener("abort", () => request.abort());
    request.open("POST", "/api/upload");
    request.send(form);
  });
}

function messageIn(body: unknown): string | undefined {
  const { error } = Object(body) as { error?: unknown };
  return typeof error === "string" ? error : undefined;
}
