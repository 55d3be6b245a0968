import type { NextFunction, RequestHandler, Response } from 'express';
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

  // Made once: a flood of refusals must not cost an error each.
  const serviceBusy = refusal('service', service);
  const gatewayBusy = gateway && refusal('gateway', gateway);

  /** Both permits if both are free: the usual case, which waits for nothing. Undefined: wait. */
  function admitNow(): Release | ConcurrencyLimitError | undefined {
    const releaseService = service.tryAcquire();
    if (!releaseService) return service.queues ? undefined : serviceBusy;
    if (!gateway) return releaseService;
    const releaseGateway = gateway.tryAcquire();
    if (releaseGateway) return both(releaseGateway, releaseService);
    releaseService();
    return gateway.queues ? undefined : gatewayBusy;
  }

  /** The service first: a busy service must not use up the permits of the others. */
  async function admitLater(signal: AbortSignal): Promise<Release> {
    const releaseService = await service.acquire(signal);
    if (!releaseService) throw serviceBusy;
    if (!gateway) return releaseService;
    try {
      const releaseGateway = await gateway.acquire(signal);
      if (!releaseGateway) throw gatewayBusy;
      return both(releaseGateway, releaseService);
    } catch (error) {
      releaseService();
      throw error;
    }
  }

  function enter(release: Release, res: Response, next: NextFunction): void {
    if (res.closed) {
      release();
      return;
    }
    exchangeOf(res).onClose(() => {
      release();
      onChange(service.held);
    });
    onChange(service.held);
    next();
  }

  return function concurrencyMiddleware(_req, res, next) {
    const admitted = admitNow();
    if (typeof admitted === 'function') {
      enter(admitted, res, next);
    } else if (admitted) {
      onLimitReached();
      next(admitted);
    } else {
      const refuse = (error: unknown) => {
        if (error instanceof ConcurrencyLimitError) onLimitReached();
        nextWhileDue(res, next)(error);
      };
      admitLater(exchangeOf(res).signal).then((release) => enter(release, res, next), refuse);
    }
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
