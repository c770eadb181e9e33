import { openEventStream } from "everstream/client";
import { useCallback, useEffect, useRef, useState } from "react";
import { sendFile } from "./send-file.ts";

/** What the server found out about a file. */
export interface ProcessedFile {
  readonly name: string;
  readonly type: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly compressedBytes: number;
}

export interface UploadState {
  readonly phase: "idle" | "sending" | "processing" | "done" | "failed" | "stopped";
  readonly name: string;
  /** What is being done: "Uploading", then the server's steps. */
  readonly step: string;
  /** In percent, of the phase. */
  readonly progress: number;
  readonly result?: ProcessedFile;
  readonly error?: string;
}

const IDLE: UploadState = { phase: "idle", name: "", step: "", progress: 0 };

export interface Upload {
  readonly state: UploadState;
  start(file: File): void;
  stop(): void;
}

/** Sends a file and follows what the server does with it. */
export function useUpload(fetchStream: typeof fetch): Upload {
  const [state, setState] = useState(IDLE);
  const running = useRef<AbortController>(undefined);
  useEffect(() => () => running.current?.abort(), []);

  const start = useCallback(
    (file: File) => {
      running.current?.abort();
      const controller = new AbortController();
      running.current = controller;
      const { signal } = controller;
      const show = (change: Partial<UploadState>): void => {
        if (!signal.aborted) setState((before) => ({ ...before, ...change }));
      };
      setState({ phase: "sending", name: file.name, step: "Uploading", progress: 0 });
      run(file, fetchStream, show, signal).catch((error: Error) =>
        show({ phase: "failed", error: error.message }),
      );
    },
    [fetchStream],
  );

  const stop = useCallback(() => {
    running.current?.abort();
    setState((before) => ({ ...before, phase: "stopped" }));
  }, []);

  return { state, start, stop };
}

async function run(
  file: File,
  fetchStream: typeof fetch,
  show: (change: Partial<UploadState>) => void,
  signal: AbortSignal,
): Promise<void> {
  const { fileId } = await sendFile(file, (fraction) => show({ progress: fraction * 100 }), signal);
  show({ phase: "processing", step: "Waiting", progress: 0 });
  // A POST is sent once. Were the connection lost, the loop below would throw and not start the work again.
  const events = openEventStream("/api/upload/process", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ fileId }),
    fetch: fetchStream,
    signal,
  });
  for await (const { type, data } of events) {
    const value: unknown = JSON.parse(data);
    if (type === "progress") show(value as { step: string; progress: number });
    if (type === "done") show({ phase: "done", result: value as ProcessedFile });
    if (type === "error") throw new Error((value as { message: string }).message);
    if (type === "done") break;
  }
}
