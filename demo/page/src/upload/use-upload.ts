import { stopRun } from "everstream/client";
import { useRun } from "everstream/react";
import { useEffect, useRef, useState } from "react";
import { postJson } from "../api/json.ts";
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
  /** How long the server's work will take yet, in milliseconds, where it can be told. */
  readonly etaMs?: number | undefined;
  readonly result?: ProcessedFile;
  readonly error?: string;
}

/** The part before the server's work: this page's own, which a reload ends. */
type Sending = Pick<UploadState, "name" | "progress" | "error"> & {
  readonly phase: "sending" | "failed" | "stopped";
};

/** The server's work on a file: found again after a reload. */
interface Processing {
  readonly run: string;
  readonly name: string;
}

export interface Upload {
  readonly state: UploadState;
  start(file: File): void;
  stop(): void;
}

const KEY = "upload";
const RUNS = "/api/runs";
const IDLE: UploadState = { phase: "idle", name: "", step: "", progress: 0 };

/** Sends a file and follows what the server does with it. */
export function useUpload(fetchStream: typeof fetch): Upload {
  const [sending, setSending] = useState<Sending>();
  const [processing, setProcessing] = useState(stored);
  const [problem, setProblem] = useState<string>();
  const id = processing?.run ?? null;
  const { run } = useRun(RUNS, { id, fetch: fetchStream, pauseWhenHidden: true });
  const controller = useRef<AbortController>(undefined);
  useEffect(() => () => controller.current?.abort(), []);

  const start = (file: File): void => {
    controller.current?.abort();
    controller.current = new AbortController();
    const { signal } = controller.current;
    const { name } = file;
    const show = (change: Omit<Sending, "name">): void => {
      if (!signal.aborted) setSending({ name, ...change });
    };
    sessionStorage.removeItem(KEY);
    setProcessing(undefined);
    setProblem(undefined);
    show({ phase: "sending", progress: 0 });
    send(file, (progress) => show({ phase: "sending", progress }), signal).then(
      (started) => {
        if (signal.aborted) return;
        const next = { run: started, name };
        sessionStorage.setItem(KEY, JSON.stringify(next));
        setSending(undefined);
        setProcessing(next);
      },
      (error: Error) => show({ phase: "failed", progress: 0, error: error.message }),
    );
  };

  const stop = (): void => {
    controller.current?.abort();
    // As it is now: the work may have begun since the button was drawn.
    const begun = stored();
    if (begun === undefined) {
      setSending((before) => (before?.phase === "sending" ? { ...before, phase: "stopped" } : before));
    } else {
      // By its name: it may not have been joined yet.
      stopRun(RUNS, begun.run).then(
        () => setProblem(undefined),
        () => setProblem("It could not be cancelled: the server can't be reached."),
      );
    }
  };

  if (sending !== undefined) return { state: { ...sending, step: "Uploading" }, start, stop };
  if (processing === undefined) return { state: IDLE, start, stop };
  const state = stateOf(processing, run?.id === id ? run : undefined);
  const isStuck = problem !== undefined && state.phase === "processing";
  return { state: isStuck ? { ...state, error: problem } : state, start, stop };
}

/**
 * Sends a file and has it processed. Resolves to the id of the run that does so. Once the work was asked for, only its id
 * can end it: it is waited for, and the run is stopped.
 */
async function send(file: File, onProgress: (percent: number) => void, signal: AbortSignal): Promise<string> {
  const { fileId } = await sendFile(file, (fraction) => onProgress(fraction * 100), signal);
  signal.throwIfAborted();
  const { run } = (await postJson("/api/upload/process", { fileId })) as { run: string };
  if (signal.aborted) await stopRun(RUNS, run).catch(() => undefined);
  signal.throwIfAborted();
  return run;
}

function stateOf({ name }: Processing, run: ReturnType<typeof useRun>["run"]): UploadState {
  const { step = "Waiting", progress = 0, etaMs } = run?.progress ?? {};
  const base = { name, step, progress };
  switch (run?.state) {
    case "done":
      return { ...base, phase: "done", result: run.result as unknown as ProcessedFile };
    case "stopped":
      return { ...base, phase: "stopped" };
    case "abandoned":
      return { ...base, phase: "failed", error: "The server was restarted meanwhile. Send the file again." };
    case "error":
    case "lost":
      return { ...base, phase: "failed", error: run.error?.message ?? "The work on the file has failed." };
    default:
      return { ...base, phase: "processing", etaMs };
  }
}

/** What was processed when the page was left. */
function stored(): Processing | undefined {
  const text = sessionStorage.getItem(KEY);
  return text === null ? undefined : (JSON.parse(text) as Processing);
}
