/** The time as ISO 8601, spelt out once for all lines of a millisecond. */
export function isoClock(): () => string {
  let spelt = { atMs: Number.NaN, text: '' };
  return () => {
    const atMs = Date.now();
    if (spelt.atMs !== atMs) spelt = { atMs, text: new Date(atMs).toISOString() };
    return spelt.text;
  };
}
