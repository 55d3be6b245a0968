export interface MirrorRoomOptions {
  /** How many copies may be under way at a time, 1 or more. */
  readonly maxCopies: number;
  /** How many bytes of content may be held at a time, for all that share `held`. */
  readonly held: HeldBytes;
}

/** Memory for content that waits to be sent, in bytes. */
export interface HeldBytes {
  /** Takes so many bytes, all or none; tells whether there was room. */
  take(bytes: number): boolean;
  giveBack(bytes: number): void;
}

/** Bounds the copies of requests that go to one service. What has no room is not sent, and nobody waits for it. */
export class MirrorRoom {
  readonly held: HeldBytes;
  readonly #maxCopies: number;
  #copies = 0;

  constructor({ maxCopies, held }: Readonly<MirrorRoomOptions>) {
    this.#maxCopies = maxCopies;
    this.held = held;
  }

  /** Copies under way. */
  get copies(): number {
    return this.#copies;
  }

  /** Whether one more copy may be sent; `leave` must follow then, once. */
  enter(): boolean {
    if (this.#copies >= this.#maxCopies) return false;
    this.#copies += 1;
    return true;
  }

  leave(): void {
    this.#copies -= 1;
  }
}
