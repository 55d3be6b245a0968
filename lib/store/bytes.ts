/** What an entry of an LRU costs beside its key and value: 270 to 350 bytes measured, rounded up. */
const ENTRY_OVERHEAD_BYTES = 400;

/** What holding the entry costs, in bytes. */
export function entryBytes(key: string, value: Buffer | undefined): number {
  return ENTRY_OVERHEAD_BYTES + key.length + (value?.byteLength ?? 0);
}

/**
 * The value as a buffer that keeps no other bytes alive. A small value read from a socket is a view into a
 * chunk of up to 64 KiB, which would make nonsense of a bound in bytes.
 */
export function ownBytes(value: Buffer | string): Buffer {
  if (typeof value === 'string') return ownBytes(Buffer.from(value));
  if (value.byteLength === value.buffer.byteLength) return value;
  const copy = Buffer.allocUnsafeSlow(value.byteLength);
  value.copy(copy);
  return copy;
}
