import { type DragEvent, useId, useRef, useState } from "react";
import { keepFocus } from "../ui/keep-focus.ts";
import { Panel } from "../ui/panel.tsx";
import { Wire } from "../ui/wire.tsx";
import { createWireLog } from "../ui/wire-log.ts";
import { sampleFile } from "./sample-file.ts";
import { type ProcessedFile, type UploadState, useUpload } from "./use-upload.ts";

const SAMPLE_BYTES = 48 * 1024 * 1024;
const STEPS = ["Uploading", "Validating", "Processing", "Optimizing", "Complete"];

export function UploadPanel() {
  const [log] = useState(createWireLog);
  const { state, start, stop } = useUpload(log.fetch);
  const busy = state.phase === "sending" || state.phase === "processing";
  const sample = useRef<HTMLButtonElement>(null);
  return (
    <Panel
      title="Upload"
      lead="The file is checked, hashed and compressed. That is a run: a reload finds the bar again."
      routes={["POST /api/upload", "POST /api/upload/process", "GET, DELETE /api/runs/:id"]}
      wire={<Wire log={log} />}
    >
      <Picker onPick={start} />
      <div className="row">
        <button ref={sample} type="button" className="plain" onClick={() => start(sampleFile(SAMPLE_BYTES))}>
          Use a sample of 48 MB
        </button>
        <button
          type="button"
          className="plain"
          onClick={() => {
            keepFocus(sample.current);
            stop();
          }}
          disabled={!busy}
        >
          Cancel
        </button>
      </div>
      {state.phase !== "idle" && <Bar state={state} />}
      {state.error !== undefined && (
        <p className="problem" role="alert">
          {state.error}
        </p>
      )}
      {state.result !== undefined && <Result file={state.result} />}
    </Panel>
  );
}

function Picker({ onPick }: { onPick: (file: File) => void }) {
  const field = useId();
  const [over, setOver] = useState(false);
  const pick = (files: FileList | null): void => {
    const file = files?.[0];
    if (file !== undefined) onPick(file);
  };
  const onDrop = (event: DragEvent): void => {
    event.preventDefault();
    setOver(false);
    pick(event.dataTransfer.files);
  };
  const onDragOver = (event: DragEvent): void => {
    event.preventDefault();
    setOver(true);
  };
  return (
    <label
      htmlFor={field}
      className="picker"
      data-over={over}
      onDrop={onDrop}
      onDragOver={onDragOver}
      onDragLeave={() => setOver(false)}
    >
      <input
        id={field}
        type="file"
        onChange={({ target }) => {
          pick(target.files);
          // So that the same file can be chosen again.
          target.value = "";
        }}
      />
      <span>
        <strong>Choose a file</strong> or drop one here
      </span>
    </label>
  );
}

function Bar({ state: { name, step, progress, phase, etaMs } }: { state: UploadState }) {
  const label = useId();
  const at = STEPS.indexOf(step);
  return (
    <div className="upload" data-phase={phase}>
      <p id={label}>
        <span className="upload-name">{name}</span>
        <output>{Math.floor(progress)} %</output>
      </p>
      <progress max={100} value={progress} aria-labelledby={label} />
      <ol className="steps">
        {STEPS.map((title, index) => (
          <li
            key={title}
            aria-current={index === at ? "step" : undefined}
            data-done={index < at || phase === "done"}
          >
            {title}
          </li>
        ))}
      </ol>
      {phase === "stopped" && <output className="note">Cancelled.</output>}
      {etaMs !== undefined && <p className="note">About {secondsOf(etaMs)} left</p>}
    </div>
  );
}

function secondsOf(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1000));
  return seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}

function Result({ file: { type, bytes, sha256, compressedBytes } }: { file: ProcessedFile }) {
  return (
    <dl className="facts">
      <dt>Type</dt>
      <dd>{type}</dd>
      <dt>Size</dt>
      <dd>
        {megabytes(bytes)}, compressed {megabytes(compressedBytes)}
      </dd>
      <dt>SHA-256</dt>
      <dd>
        <code>{sha256}</code>
      </dd>
    </dl>
  );
}

function megabytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1_000_000 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}
