import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { BreakerEvent } from '../lib/circuitbreaker/breaker.ts';
import type { Store } from '../lib/store/store.ts';
import type { BreakerSubject } from './breakerLog.ts';
import type { ServiceReplicas } from './replicas.ts';

const CHANNEL = 'breakers';

const NEWS = z.object({
  gateway: z.string(),
  /** Path prefix of the service. */
  service: z.string(),
  replica: z.string(),
  verdict: z.enum(['failing', 'recovered']),
});

type News = z.output<typeof NEWS>;

export interface BreakerNewsOptions {
  readonly store: Store;
  /** The replicas of a service, by its path prefix. */
  readonly replicasOf: (service: string) => ServiceReplicas | undefined;
  readonly onError: (error: Error) => void;
}

/**
 * Tells the other gateways on the same store when a breaker trips or recovers, and takes their news as hints. A
 * gateway that hears nothing finds out for itself: news may be lost.
 */
export class BreakerNews {
  /** Tells one's own news from others'. */
  readonly #gateway = randomUUID();
  readonly #store: Store;
  readonly #replicasOf: BreakerNewsOptions['replicasOf'];
  readonly #onError: (error: Error) => void;

  constructor({ store, replicasOf, onError }: BreakerNewsOptions) {
    this.#store = store;
    this.#replicasOf = replicasOf;
    this.#onError = onError;
  }

  async listen(): Promise<void> {
    await this.#store.subscribe(CHANNEL, (message) => this.#heard(message));
  }

  /** To be told of every breaker event. What was itself a hint is not passed on. */
  publish(event: BreakerEvent, { service, replicaId }: BreakerSubject): void {
    if (event.kind !== 'transition' || event.hinted || event.to === 'half-open') return;
    const verdict = event.to === 'open' ? 'failing' : 'recovered';
    const news: News = { gateway: this.#gateway, service, replica: replicaId, verdict };
    this.#store.publish(CHANNEL, JSON.stringify(news)).catch(this.#onError);
  }

  #heard(message: string): void {
    const { gateway, service, replica, verdict } = NEWS.parse(JSON.parse(message));
    const replicas = this.#replicasOf(service);
    // Only of replicas that are listed here too: a stranger's name must not make a breaker.
    if (gateway === this.#gateway || !replicas?.pool.get(replica)) return;
    const breaker = replicas.breakerOf(replica);
    if (verdict === 'failing') breaker.hintFailing();
    else breaker.hintRecovered();
  }
}
