const OFFSET_BASIS = 0x811c9dc5;
const PRIME = 0x01000193;

/** A text as a whole number of 32 bits that is never 0 (FNV-1a), for cells that hold no text. Two texts may share one. */
export function hash32(text: string): number {
  let hash = OFFSET_BASIS;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), PRIME);
  return hash | 0 || 1;
}
