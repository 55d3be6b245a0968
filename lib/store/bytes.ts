import type { Group } from './store.ts';

/** Memory that an entry of an LRU takes besides its key and value: 270 to 350 bytes measured, rounded up. */
const ENTRY_OVERHEAD_BYTES = 400;

/** What a cache keeps for a key: one value, a group, or undefined for a key that is known to be absent. */
export type Held = Buffer | Group | undefined;

/** Memory for an entry with this much content, in bytes. */
export function entryBytes(key: string, contentBytes: number): number {
  return ENTRY_OVERHEAD_BYTES + key.length + contentBytes;
}

/** The same for any held value. */
export function heldBytes(key: string, held: Held): number {
  if (held === undefined) return entryBytes(key, 0);
  if (Buffer.isBuffer(held)) return entryBytes(key, held.byteLength);
  const contentBytes = held.reduce((sum, { id, value }) => sum + id.length + value.byteLength, 0);
  return entryBytes(key, contentBytes) + ENTRY_OVERHEAD_BYTES * Math.max(0, held.length - 1);
}

/**
 * The value as a buffer that keeps no other memory alive. A small value that was read from a socket is a view into a chunk
 * of up to 64 KiB, so that a bound in bytes would mean nothing.
 */
export function ownBytes(value: Buffer | string): Buffer {
  if (typeof value === 'string') return ownBytes(Buffer.from(value));
  if (value.byteLength === value.buffer.byteLength) return value;
  const copy = Buffer.allocUnsafeSlow(value.byteLength);
  value.copy(copy);
  return copy;
}

/** The same for any held value. */
export function ownHeld<H extends Held>(held: H): H {
  const own = Buffer.isBuffer(held)
    ? ownBytes(held)
    : held?.map(({ id, value }) => ({ id, value: ownBytes(value) }));
  return own as H;
}

/** A view of bytes as a `Buffer`: what SQLite returns, and what comes by message from another thread, is none. */
export function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
}
