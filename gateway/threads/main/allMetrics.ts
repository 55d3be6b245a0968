import { threadsClock } from '../../../lib/clock/threadsClock.ts';
import type { Metrics } from '../../../lib/metrics/metrics.ts';
import { rendered } from '../../../lib/metrics/rendered.ts';
import { mergedCounts, mergedText, type Snapshot, withoutSeries } from '../../../lib/metrics/snapshots.ts';
import { METRICS_EVERY_MS } from '../../health/wellKnown.ts';
import type { WorkerThread } from './workerThread.ts';

/** A worker that takes longer to send its metrics is shown with its last ones. */
const METRICS_WITHIN_MS = 1_000;

/** The metrics of all threads as one text: of the main thread, of its workers, and of workers that have ended. */
export class AllMetrics {
  readonly #own: Metrics;
  readonly #workers: () => readonly WorkerThread[];
  /** The metrics of workers that have ended. */
  #earlier: Snapshot = [];

  /** One rendering serves all scrapes at the same time, whichever worker they reach. */
  readonly scrape = rendered({
    render: () => this.#render(),
    everyMs: METRICS_EVERY_MS,
    clock: threadsClock,
  });

  constructor(own: Metrics, workers: () => readonly WorkerThread[]) {
    this.#own = own;
    this.#workers = workers;
  }

  /** Keeps what a worker that has ended has counted. */
  left({ snapshot }: WorkerThread): void {
    this.#earlier = mergedCounts([this.#earlier, snapshot]);
  }

  /** Drops the series of a replica that is gone. */
  forgetReplica(service: string, instance: string): void {
    this.#own.forgetReplica(service, instance);
    this.#earlier = withoutSeries(this.#earlier, { service, instance });
  }

  async #render(): Promise<string> {
    // Both are read at once, so that a worker that ends meanwhile is counted once: among the workers, not among the
    // ended.
    const earlier = this.#earlier;
    const workers = this.#workers().map((worker) => worker.metrics(METRICS_WITHIN_MS));
    const own = this.#own.registry.getMetricsAsJSON();
    return mergedText([...(await Promise.all([own, ...workers])), earlier]);
  }
}
