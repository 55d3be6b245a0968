/** The account of values that two owners have set. */
export const NOBODY = '';

/** Values of nobody are not evicted while they take up no more than this part of the store. */
const NOBODYS_SHARE = 1 / 2;

/** How much of a bounded store each owner uses, and whose values may be evicted for whose. */
export class Accounts {
  readonly #maxBytes: number;
  readonly #held = new Map<string, number>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** @param bytes negative when a value was removed */
  add(owner: string, bytes: number): void {
    this.#bytes += bytes;
    const held = this.#heldBy(owner) + bytes;
    if (held > 0) this.#held.set(owner, held);
    else this.#held.delete(owner);
  }

  /**
   * Whether a value of `owner` may be evicted for one of `writer`: only when the owner uses at least as much as the writer,
   * and at least an equal share.
   */
  makesRoom(owner: string, writer: string): boolean {
    if (owner === NOBODY && this.#hasOwners) return this.#heldBy(NOBODY) > this.#maxBytes * NOBODYS_SHARE;
    const held = this.#heldBy(owner);
    return held >= this.#equalShare && (writer === NOBODY || held >= this.#heldBy(writer));
  }

  #heldBy(owner: string): number {
    return this.#held.get(owner) ?? 0;
  }

  get #hasOwners(): boolean {
    return this.#held.size > (this.#held.has(NOBODY) ? 1 : 0);
  }

  get #equalShare(): number {
    const nobodys = this.#held.get(NOBODY);
    const owners = this.#held.size - (nobodys === undefined ? 0 : 1);
    return owners === 0 ? 0 : (this.#bytes - (nobodys ?? 0)) / owners;
  }
}
