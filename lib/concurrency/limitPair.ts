import { type ConcurrencyLimitError, type Limited, refusalsOf } from './errors.ts';
import { isPermit, type Permit, type Permits, type Refusal, UNLIMITED } from './permits.ts';

/** One limit, with the errors for what it refuses. */
interface Limit {
  readonly permits: Permits;
  readonly refusals: Readonly<Record<Refusal, ConcurrencyLimitError>>;
}

export interface LimitPairOptions {
  /** The limit of one service. Default: none. */
  readonly service?: Permits | undefined;
  /** The limit shared by all services. Default: none. */
  readonly gateway?: Permits | undefined;
  /** What is counted. Default: requests. */
  readonly counts?: 'requests' | 'streams';
}

/**
 * The two limits that a request must pass together. The service's comes first: a busy service must not use up the
 * permits of the others.
 */
export class LimitPair {
  readonly #service: Limit;
  readonly #gateway: Limit;

  constructor(options: Readonly<LimitPairOptions>) {
    const { service = UNLIMITED, gateway = UNLIMITED, counts = 'requests' } = options;
    const areStreams = counts === 'streams';
    this.#service = limitOf(areStreams ? 'service_streams' : 'service', service);
    this.#gateway = limitOf(areStreams ? 'gateway_streams' : 'gateway', gateway);
  }

  /** Whether a request that was refused may wait instead. */
  mayWait(refused: ConcurrencyLimitError): boolean {
    const { full, share } = this.#service.refusals;
    const limit = refused === full || refused === share ? this.#service : this.#gateway;
    return limit.permits.queues;
  }

  /**
   * Returns both permits if both are free, which is the usual case and waits for nothing. Otherwise the reason.
   *
   * @param nowMs the clock's `ticks`, where they are known
   */
  enterNow(caller: string, asker: string, nowMs?: number): PermitPair | ConcurrencyLimitError {
    const service = this.#service.permits.tryAcquire(caller, asker, nowMs);
    if (!isPermit(service)) return this.#service.refusals[service];
    const gateway = this.#gateway.permits.tryAcquire(caller, asker, nowMs);
    if (isPermit(gateway)) return new PermitPair(this, service, gateway);
    service.release();
    return this.#gateway.refusals[gateway];
  }

  /** Waits for both. Rejects with the signal's reason, or with a `ConcurrencyLimitError` when a queue is full. */
  async enter(signal: AbortSignal, caller: string, asker: string): Promise<PermitPair> {
    const service = await acquire(this.#service, signal, caller, asker);
    try {
      return new PermitPair(this, service, await acquire(this.#gateway, signal, caller, asker));
    } catch (error) {
      service.release();
      throw error;
    }
  }

  /** The error for a caller that has its share. */
  shareOf(limit: 'service' | 'gateway'): ConcurrencyLimitError {
    return (limit === 'service' ? this.#service : this.#gateway).refusals.share;
  }
}

/** A permit of each of the two limits, transferred and released together. */
export class PermitPair {
  readonly #limits: LimitPair;
  readonly #service: Permit;
  readonly #gateway: Permit;

  constructor(limits: LimitPair, service: Permit, gateway: Permit) {
    this.#limits = limits;
    this.#service = service;
    this.#gateway = gateway;
  }

  /** Safe to call twice. */
  release(): void {
    this.#gateway.release();
    this.#service.release();
  }

  /** Counts both for `caller` from now on. Returns the error when that caller already has its share of one of them. */
  transfer(caller: string): ConcurrencyLimitError | undefined {
    if (!this.#service.transfer(caller)) return this.#limits.shareOf('service');
    return this.#gateway.transfer(caller) ? undefined : this.#limits.shareOf('gateway');
  }
}

async function acquire(
  { permits, refusals }: Limit,
  signal: AbortSignal,
  caller: string,
  asker: string,
): Promise<Permit> {
  const given = await permits.acquire(signal, caller, asker);
  if (isPermit(given)) return given;
  throw refusals[given];
}

function limitOf(limited: Limited, permits: Permits): Limit {
  return { permits, refusals: refusalsOf(limited, permits) };
}
