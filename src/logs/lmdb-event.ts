import { type StoredEvent, sizeOf } from "../hub/log.ts";

/**
 * How an event lies on disk: a head of fixed length, so that trimming need not read more, then the texts in UTF-8.
 *
 * | at | what |
 * | --- | --- |
 * | 0 | version, one byte |
 * | 1 | which of `json`, `key` and `meta` it has, one bit each |
 * | 4 | its size by `sizeOf` |
 * | 8 | its time, a double |
 * | 16, 20, 24 | the lengths in bytes of type, key and meta; data has the rest |
 *
 * Numbers are little-endian, 32 bits where nothing else is said.
 */
const HEAD_BYTES = 28;

const IS_JSON = 1;
const HAS_KEY = 2;
const HAS_META = 4;

/** What trimming must know of an event. */
export interface EventMeasure {
  readonly size: number;
  readonly time: number;
}

/** Writes an event into a buffer of its own. */
export function encodeStored(event: StoredEvent): Buffer {
  const { type, data, json, key, time, version } = event;
  const meta = event.meta === undefined ? "" : JSON.stringify(event.meta);
  const typeBytes = Buffer.byteLength(type);
  const keyBytes = key === undefined ? 0 : Buffer.byteLength(key);
  const metaBytes = Buffer.byteLength(meta);
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + typeBytes + keyBytes + metaBytes + Buffer.byteLength(data));
  bytes[0] = version;
  bytes[1] =
    (json ? IS_JSON : 0) | (key === undefined ? 0 : HAS_KEY) | (event.meta === undefined ? 0 : HAS_META);
  bytes.writeUInt16LE(0, 2);
  bytes.writeUInt32LE(sizeOf(event), 4);
  bytes.writeDoubleLE(time, 8);
  bytes.writeUInt32LE(typeBytes, 16);
  bytes.writeUInt32LE(keyBytes, 20);
  bytes.writeUInt32LE(metaBytes, 24);
  let at = HEAD_BYTES + bytes.write(type, HEAD_BYTES);
  if (key !== undefined) at += bytes.write(key, at);
  at += bytes.write(meta, at);
  bytes.write(data, at);
  return bytes;
}

export function decodeStored(bytes: Buffer): StoredEvent {
  const flags = bytes[1] as number;
  const keyAt = HEAD_BYTES + bytes.readUInt32LE(16);
  const metaAt = keyAt + bytes.readUInt32LE(20);
  const dataAt = metaAt + bytes.readUInt32LE(24);
  return {
    type: bytes.toString("utf8", HEAD_BYTES, keyAt),
    data: bytes.toString("utf8", dataAt),
    json: (flags & IS_JSON) !== 0,
    key: (flags & HAS_KEY) === 0 ? undefined : bytes.toString("utf8", keyAt, metaAt),
    meta: (flags & HAS_META) === 0 ? undefined : JSON.parse(bytes.toString("utf8", metaAt, dataAt)),
    time: bytes.readDoubleLE(8),
    version: bytes[0] as number,
  };
}

/** @param bytes Of an event. lmdb hands out a view of its memory where the event is large. */
export function measureStored(bytes: Uint8Array): EventMeasure {
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEAD_BYTES);
  return { size: view.getUint32(4, true), time: view.getFloat64(8, true) };
}
