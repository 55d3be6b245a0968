/**
 * The memory that responses may take while they are recorded, in bytes. Several caches may share one. A response for which
 * there is no room is passed on and not stored.
 */
export class GatheringRoom {
  #freeBytes: number;

  /** @param maxBytes default: no limit */
  constructor(maxBytes = Number.POSITIVE_INFINITY) {
    this.#freeBytes = maxBytes;
  }

  /** Takes so many bytes, all or none; tells whether there was room. They must be given back once. */
  take(bytes: number): boolean {
    if (bytes > this.#freeBytes) return false;
    this.#freeBytes -= bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#freeBytes += bytes;
  }
}
