import { setTimeout as sleep } from 'node:timers/promises';
import type { RequestHandler } from 'express';
import { isHealthCheck } from '../services/common.ts';

const LOOK_EVERY_MS = 20;

/** The requests of one replica, health checks apart. */
export class Traffic {
  #total = 0;
  #inFlight = 0;
  #idleSinceMs = 0;

  /** How many there were so far. */
  get total(): number {
    return this.#total;
  }

  readonly middleware: RequestHandler = (req, res, next) => {
    if (isHealthCheck(req)) return next();
    this.#total += 1;
    this.#inFlight += 1;
    res.once('close', () => {
      this.#inFlight -= 1;
      this.#idleSinceMs = performance.now();
    });
    next();
  };

  /** Resolves when from now on there was no request for `ms`, or `stopping` is aborted. */
  async quiet(ms: number, stopping: AbortSignal): Promise<void> {
    this.#idleSinceMs = performance.now();
    while (!stopping.aborted && !this.#isQuietFor(ms)) {
      await sleep(LOOK_EVERY_MS, undefined, { signal: stopping }).catch(() => {});
    }
  }

  #isQuietFor(ms: number): boolean {
    return this.#inFlight === 0 && performance.now() - this.#idleSinceMs >= ms;
  }
}
