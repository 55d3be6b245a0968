import type { RequestHandler } from 'express';
import { exchangeOf, nextWhileDue } from '../exchange/exchange.ts';
import { listener } from '../exchange/listener.ts';
import { stackless } from '../exchange/stackless.ts';
import { ConcurrencyLimitError } from './errors.ts';
import type { Limiter, Release } from './limiter.ts';

export interface ConcurrencyOptions {
  /** The limit of the service behind this middleware. */
  readonly service: Limiter;
  /** The limit shared by all services; none when left out. */
  readonly gateway?: Limiter;
  /** Called whenever the number of admitted requests changes, with the service's count. */
  readonly onChange?: (held: number) => void;
  readonly onLimitReached?: () => void;
}

/**
 * Admits as many requests at a time as the limiters allow and refuses the others with
 * `ConcurrencyLimitError`. It limits concurrency, not rate: a fast client may send any number in a row.
 * The permits return when the answer is complete or the client has gone, whichever comes first.
 */
export function concurrency(options: Readonly<ConcurrencyOptions>): RequestHandler {
  const { service, gateway } = options;
  const onChange = listener(options.onChange);
  const onLimitReached = listener(options.onLimitReached);

  /** Both permits if both are free: the usual case, which waits for nothing. */
  function admitNow(): Release | undefined {
    const releaseService = service.tryAcquire();
    if (!releaseService || !gateway) return releaseService;
    const releaseGateway = gateway.tryAcquire();
    if (releaseGateway) return both(releaseGateway, releaseService);
    releaseService();
    return undefined;
  }

  /** The service first: a busy service must not use up the permits of the others. */
  async function admitLater(signal: AbortSignal): Promise<Release> {
    const releaseService = await service.acquire(signal);
    if (!releaseService) throw refusal('service', service);
    if (!gateway) return releaseService;
    try {
      const releaseGateway = await gateway.acquire(signal);
      if (!releaseGateway) throw refusal('gateway', gateway);
      return both(releaseGateway, releaseService);
    } catch (error) {
      releaseService();
      throw error;
    }
  }

  return function concurrencyMiddleware(_req, res, next) {
    function enter(release: Release): void {
      if (res.closed) {
        release();
        return;
      }
      res.once('close', () => {
        release();
        onChange(service.held);
      });
      onChange(service.held);
      next();
    }

    function refuse(error: unknown): void {
      if (error instanceof ConcurrencyLimitError) onLimitReached();
      nextWhileDue(res, next)(error);
    }

    const release = admitNow();
    if (release) enter(release);
    else admitLater(exchangeOf(res).signal).then(enter, refuse);
  };
}

function refusal(scope: 'service' | 'gateway', { limit }: Limiter): ConcurrencyLimitError {
  return stackless(() => new ConcurrencyLimitError(scope, limit));
}

function both(first: Release, second: Release): Release {
  return () => {
    first();
    second();
  };
}
