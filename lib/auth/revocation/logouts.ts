import type { Request, Response } from 'express';
import { type Exchange, exchangeOf } from '../../exchange/exchange.ts';
import { mayChange } from '../../http/safeMethods.ts';
import { type RevokingPath, revokingRequests } from './revokePaths.ts';

export interface LogoutOptions {
  /** Paths as clients know them; matched leniently, see `revokingRequests`. */
  readonly paths?: readonly RevokingPath[] | undefined;
  /** Paths of the services to one of which the request will go, where that is not known yet. Default: to `exchange.service`. */
  readonly services?: readonly string[] | undefined;
  /** Whether every request that may change something is one, whatever its path. Default false. */
  readonly always?: boolean;
}

/** Whether a request is a logout. It is decided once for each request, and written to `exchange.revokes`. */
export type IsLogout = (req: Request, res: Response) => boolean;

/**
 * Recognises logouts by the target that the client asks for, and by the one that the service gets if that is another: whatever
 * leads to a path that revokes, revokes.
 */
export function logouts({ paths, services, always = false }: Readonly<LogoutOptions>): IsLogout {
  const isRevoking = revokingRequests(paths);
  const judge = (req: Request, exchange: Exchange): boolean => {
    if (always) return mayChange(req, req.originalUrl);
    if (isRevoking(req, req.originalUrl)) return true;
    const { service, upstreamTarget } = exchange;
    if (services === undefined && !isRewritten(req.originalUrl, exchange)) return false;
    const prefixes = services ?? [service];
    return (
      prefixes.some((prefix) => isRevoking(req, prefix + upstreamTarget)) || isRevoking(req, upstreamTarget)
    );
  };
  return (req, res) => {
    const exchange = exchangeOf(res);
    exchange.revokes ??= judge(req, exchange);
    return exchange.revokes;
  };
}

/** Whether the service gets another target than the client's, with the service's path in front or not. */
function isRewritten(target: string, { service, upstreamTarget }: Exchange): boolean {
  if (upstreamTarget === '' || target === upstreamTarget) return false;
  return !(
    target.length === service.length + upstreamTarget.length &&
    target.startsWith(service) &&
    target.endsWith(upstreamTarget)
  );
}
