const OFFSET_BASIS = 0x811c9dc5;
const PRIME = 0x01000193;

/**
 * FNV-1a over the UTF-16 code units of `text`, in 32 bits, which is fast on short texts. Anybody can find two texts with
 * one hash unless the seed is secret, so nothing may depend on hashes being different but what a collision may cost.
 *
 * @param seed where it begins: a secret number, or the hash of what comes before
 * @param from the first code unit
 * @param to the code unit behind the last
 */
export function fnv1a(text: string, seed = OFFSET_BASIS, from = 0, to = text.length): number {
  let hash = seed;
  for (let i = from; i < to; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), PRIME);
  return hash | 0;
}

/**
 * Spreads a hash over all 32 bits, so that similar texts differ in all of them: the last step of MurmurHash3. Returns a
 * number from 0 to 2^32 - 1.
 */
export function spread(hash: number): number {
  let spreading = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  spreading = Math.imul(spreading ^ (spreading >>> 13), 0xc2b2ae35);
  return (spreading ^ (spreading >>> 16)) >>> 0;
}
