/** Gives a permit back. Safe to call twice: the second call does nothing. */
export type Release = () => void;

export interface LimiterOptions {
  /** Permits handed out at the same time; 0 refuses everybody. */
  readonly limit: number;
  /** Callers that may wait for a permit, first come first served; 0 (the default) refuses at once. */
  readonly queue?: number;
}

interface Waiter {
  readonly grant: (release: Release) => void;
}

/** A counting semaphore whose permits are values: who holds a release function holds a permit. */
export class Limiter {
  readonly limit: number;
  readonly #queueLimit: number;
  #held = 0;
  readonly #waiting = new Set<Waiter>();

  constructor({ limit, queue = 0 }: Readonly<LimiterOptions>) {
    assertWhole('limit', limit, 0);
    assertWhole('queue', queue, 0);
    this.limit = limit;
    this.#queueLimit = queue;
  }

  /** Permits in use now. */
  get held(): number {
    return this.#held;
  }

  /** Whether anybody may wait for a permit at all. */
  get queues(): boolean {
    return this.#queueLimit > 0;
  }

  /** Callers waiting now. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** A permit, or `undefined` when none is free. */
  tryAcquire(): Release | undefined {
    if (this.#held >= this.limit) return undefined;
    this.#held += 1;
    return this.#releaseOnce();
  }

  /**
   * A permit as soon as one is free, or `undefined` when limit and queue are full.
   * Rejects with the signal's reason when `signal` is aborted first; the place in the queue is free again then.
   */
  async acquire(signal: AbortSignal): Promise<Release | undefined> {
    signal.throwIfAborted();
    const release = this.tryAcquire();
    if (release || this.#waiting.size >= this.#queueLimit) return release;
    return this.#wait(signal);
  }

  #wait(signal: AbortSignal): Promise<Release> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.delete(waiter);
        reject(signal.reason);
      };
      const waiter: Waiter = {
        grant: (release) => {
          signal.removeEventListener('abort', leave);
          resolve(release);
        },
      };
      this.#waiting.add(waiter);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  #releaseOnce(): Release {
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.#passOn();
    };
  }

  /** The permit goes to whoever waited longest, or back on the pile. */
  #passOn(): void {
    const [next] = this.#waiting;
    if (!next) {
      this.#held -= 1;
      return;
    }
    this.#waiting.delete(next);
    next.grant(this.#releaseOnce());
  }
}

function assertWhole(name: string, value: number, minimum: number): void {
  if (!Number.isSafeInteger(value) || value < minimum) {
    throw new RangeError(`Limiter: ${name} must be a whole number of at least ${minimum}, got ${value}`);
  }
}
