/** A part of a body: first and last byte. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/**
 * The part that `Range` asks for of a body of `size` bytes (RFC 9110 section 14). `whole` for what may be ignored:
 * other units, several parts, a field that makes no sense. `none` when no byte of the body is asked for (416).
 */
export function rangeOf(field: string | undefined, size: number): ByteRange | 'whole' | 'none' {
  const [, first = '', last = ''] = /^bytes=\s*(\d*)-(\d*)\s*$/i.exec(field ?? '') ?? [];
  if (first === '' && last === '') return 'whole';
  if (first === '') return suffix(Number(last), size);
  const from = Number(first);
  if (last !== '' && Number(last) < from) return 'whole';
  if (from >= size) return 'none';
  return { first: from, last: last === '' ? size - 1 : Math.min(Number(last), size - 1) };
}

function suffix(length: number, size: number): ByteRange | 'none' {
  if (length === 0 || size === 0) return 'none';
  return { first: Math.max(0, size - length), last: size - 1 };
}
