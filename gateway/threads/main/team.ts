import type { Clock } from '../../../lib/clock/clock.ts';
import type { Logger } from '../../../lib/logging/logger.ts';
import type { TakenPorts } from '../../gateway.ts';
import type { ToWorker } from '../messages.ts';
import type { WorkerThread } from './workerThread.ts';

/** A worker that has run for this long did not end because of a failed start. */
const PROVEN_MS = 10_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

export interface TeamOptions {
  /** How many workers should take requests. */
  readonly size: number;
  /** The thread numbers for workers. More than `size`, since a draining worker keeps its own until it has ended. */
  readonly threadNumbers: readonly number[];
  /** Starts a worker with this thread number. */
  readonly spawn: (threadNumber: number) => WorkerThread;
  readonly logger: Logger;
  readonly clock: Clock;
}

/**
 * The workers of a gateway. Each has a number in shared memory. A worker that ends is replaced, at once or, when it
 * did not run for long, after a pause.
 */
export class WorkerTeam {
  readonly #options: TeamOptions;
  readonly #freeNumbers: number[];
  readonly #workers = new Map<WorkerThread, number>();
  #endedEarly = 0;
  #pausing = false;
  #begun = false;
  #stopped = false;

  constructor(options: TeamOptions) {
    this.#options = options;
    this.#freeNumbers = [...options.threadNumbers];
  }

  /** All workers that have not ended. */
  get workers(): readonly WorkerThread[] {
    return [...this.#workers.keys()];
  }

  /**
   * Resolves once all workers listen. `onFirst` is called with the ports of the first one. When the first one chooses the ports
   * (port 0), the others are started after it listens.
   */
  async start(choosesPorts: boolean, onFirst: (ports: TakenPorts) => void): Promise<void> {
    const first = this.#spawn();
    this.#begun = !choosesPorts;
    this.fill();
    onFirst(await first.listening);
    this.#begun = true;
    this.fill();
    await Promise.all(this.workers.map(({ listening }) => listening));
  }

  /** Starts workers until there are `size` of them. */
  fill(): void {
    const { size } = this.#options;
    if (!this.#begun || this.#stopped || this.#pausing) return;
    while (this.#freeNumbers.length > 0 && this.#serving() < size) this.#spawn();
  }

  /** To be called when a worker has ended. */
  left(worker: WorkerThread): void {
    const startedAtMs = this.#workers.get(worker) ?? 0;
    this.#workers.delete(worker);
    this.#freeNumbers.push(worker.threadNumber);
    if (this.#stopped) return;
    const { clock } = this.#options;
    if (clock.ticks() - startedAtMs >= PROVEN_MS) this.#endedEarly = 0;
    else this.#pause();
    this.fill();
  }

  tellAll(told: ToWorker): void {
    for (const worker of this.workers) worker.tell(told);
  }

  /** Ends all workers after their requests, and replaces none. A worker that takes longer than `withinMs` is killed. */
  async stop(withinMs: number): Promise<void> {
    const { clock, logger } = this.#options;
    this.#stopped = true;
    this.tellAll({ kind: 'drain' });
    const cancel = clock.after(withinMs, () => {
      for (const worker of this.workers) {
        logger.error(`Worker ${worker.number} does not end: it is killed`);
        void worker.kill();
      }
    });
    await Promise.all(this.workers.map(({ ended }) => ended));
    cancel();
  }

  #serving(): number {
    return this.workers.filter(({ isEnding }) => !isEnding).length;
  }

  #spawn(): WorkerThread {
    const worker = this.#options.spawn(this.#freeNumbers.shift() as number);
    this.#workers.set(worker, this.#options.clock.ticks());
    return worker;
  }

  /**
   * The first worker that ends early is replaced at once. After the next one there is a pause, since something is
   * wrong.
   */
  #pause(): void {
    this.#endedEarly += 1;
    if (this.#endedEarly === 1 || this.#pausing) return;
    this.#pausing = true;
    const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.#endedEarly - 2));
    this.#options.clock.after(pauseMs, () => {
      this.#pausing = false;
      this.fill();
    });
  }
}
