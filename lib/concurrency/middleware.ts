import type { RequestHandler } from 'express';
import { exchangeOf } from '../exchange/exchange.ts';
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
export function concurrency({
  service,
  gateway,
  onChange = () => {},
  onLimitReached = () => {},
}: Readonly<ConcurrencyOptions>): RequestHandler {
  /** The service first: a busy service must not use up the permits of the others. */
  async function admit(signal: AbortSignal): Promise<Release> {
    const releaseService = await service.acquire(signal);
    if (!releaseService) throw new ConcurrencyLimitError('service', service.limit);
    if (!gateway) return releaseService;
    try {
      const releaseGateway = await gateway.acquire(signal);
      if (!releaseGateway) throw new ConcurrencyLimitError('gateway', gateway.limit);
      return () => {
        releaseGateway();
        releaseService();
      };
    } catch (error) {
      releaseService();
      throw error;
    }
  }

  return async function concurrencyMiddleware(_req, res, next) {
    let release: Release;
    try {
      release = await admit(exchangeOf(res).signal);
    } catch (error) {
      if (error instanceof ConcurrencyLimitError) onLimitReached();
      return next(error);
    }
    if (res.closed) {
      release();
      return;
    }
    onChange(service.held);
    res.once('close', () => {
      release();
      onChange(service.held);
    });
    next();
  };
}
