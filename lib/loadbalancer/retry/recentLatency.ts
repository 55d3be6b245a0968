/** How many durations are remembered. */
const KEPT = 128;
/** The durations are sorted again after so many further ones. */
const SORT_EVERY = 16;

/** Quantiles of the latest 128 durations. To add one is a single write; they are sorted when a quantile is asked for. */
export class RecentLatency {
  readonly #latest = new Float64Array(KEPT);
  #count = 0;
  #sorted = new Float64Array(0);
  #sortedAtCount = 0;

  add(ms: number): void {
    this.#latest[this.#count % KEPT] = ms;
    this.#count += 1;
  }

  /** The duration that this part (0 to 1) of the latest ones does not exceed; `undefined` when there is none yet. */
  quantile(part: number): number | undefined {
    const known = Math.min(this.#count, KEPT);
    if (this.#sorted.length < known || this.#count - this.#sortedAtCount >= SORT_EVERY) {
      this.#sorted = this.#latest.slice(0, known).sort();
      this.#sortedAtCount = this.#count;
    }
    return this.#sorted[Math.min(known - 1, Math.floor(known * part))];
  }
}
