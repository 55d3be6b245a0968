import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { BreakerEvent } from '../../../lib/circuitbreaker/contract.ts';
import type { Store } from '../../../lib/store/store.ts';
import type { BreakerSubject } from '../../logs/breakerLog.ts';
import type { ServiceReplicas } from './replicas.ts';

const CHANNEL = 'breakers';

const SUBJECT = {
  gateway: z.string(),
  /** Path prefix of the service. */
  service: z.string(),
  /** The replica's key: its name may differ between gateways. */
  replica: z.string(),
};

const NEWS = z.discriminatedUnion('verdict', [
  z.object({ ...SUBJECT, verdict: z.literal('failing'), failure: z.enum(['absent', 'bad']) }),
  z.object({ ...SUBJECT, verdict: z.literal('recovered') }),
]);

type News = z.output<typeof NEWS>;

export interface BreakerNewsOptions {
  /** Identifies this gateway, which ignores its own messages. Default: a random id. */
  readonly gatewayId?: string | undefined;
  readonly store: Store;
  /** The replicas of a service, by its path prefix. */
  readonly replicasOf: (service: string) => ServiceReplicas | undefined;
  /** Called when a message could not be published. */
  readonly onError: (error: Error) => void;
  /** Called for a message on the channel that cannot be read. */
  readonly onUnreadable: (error: Error) => void;
}

/**
 * Tells the other gateways on the same store when a breaker opens or closes, and why, and takes their messages as hints. A
 * replica that is reported for bad responses, but serves somebody here, stays in use: callers of this gateway must not suffer
 * for those of another. Messages may be lost; a gateway then notices by its own requests.
 */
export class BreakerNews {
  readonly #gateway: string;
  readonly #store: Store;
  readonly #replicasOf: BreakerNewsOptions['replicasOf'];
  readonly #onError: BreakerNewsOptions['onError'];
  readonly #onUnreadable: BreakerNewsOptions['onUnreadable'];

  constructor({ gatewayId, store, replicasOf, onError, onUnreadable }: BreakerNewsOptions) {
    this.#gateway = gatewayId ?? randomUUID();
    this.#store = store;
    this.#replicasOf = replicasOf;
    this.#onError = onError;
    this.#onUnreadable = onUnreadable;
  }

  async listen(): Promise<void> {
    await this.#store.subscribe(CHANNEL, (message) => this.#heard(message));
  }

  /** To be called with every breaker event. */
  publish(event: BreakerEvent, { service, replica }: BreakerSubject): void {
    const verdict = verdictOf(event);
    if (!verdict) return;
    const news: News = { gateway: this.#gateway, service, replica: replica.key, ...verdict };
    this.#store.publish(CHANNEL, JSON.stringify(news)).catch(this.#onError);
  }

  #heard(message: string): void {
    const news = this.#read(message);
    if (!news || news.gateway === this.#gateway) return;
    const { service, replica } = news;
    const replicas = this.#replicasOf(service);
    // Only replicas that are listed here count: an unknown name must not create a breaker.
    if (!replicas?.hasBreakers || !replicas.pool.get(replica)) return;
    const breaker = replicas.breakerOf(replica);
    if (news.verdict === 'failing') breaker.hintFailing(news.failure);
    else breaker.hintRecovered();
  }

  #read(message: string): News | undefined {
    try {
      return NEWS.parse(JSON.parse(message));
    } catch (error) {
      this.#onUnreadable(error as Error);
      return undefined;
    }
  }
}

/**
 * What an event means to other gateways: a breaker that opened or closed by this gateway's own requests. Hints are not passed
 * on, nor are failed trials: a gateway that alone cannot reach a replica would keep it from all others for ever.
 */
function verdictOf(event: BreakerEvent) {
  if (event.kind !== 'transition' || event.hinted) return undefined;
  if (event.to === 'closed') return { verdict: 'recovered' } as const;
  const { failure } = event;
  const tripped = event.to === 'open' && event.from === 'closed';
  return tripped && failure ? ({ verdict: 'failing', failure } as const) : undefined;
}
