import type { IncomingMessage } from 'node:http';
import type { Response } from 'express';
import type { RateRule } from '../../../config/policies/limits/rates.ts';
import { addressOf, callerOf } from '../../../lib/exchange/caller.ts';
import { exchangeOf } from '../../../lib/exchange/exchange.ts';
import type { TrustsPeer } from '../../../lib/proxy/request/forwarded.ts';
import { shortened } from '../../../lib/util/shortened.ts';

type BucketOf = (req: IncomingMessage, res: Response) => string | undefined;

/**
 * Names the bucket of a request under a rule. The rates have no part in the name, so that a user keeps what he has used when his
 * plan or the file changes. What one script may judge together has the same part in braces (a hash tag of Redis Cluster): all of
 * one identity, all of one address, all of one service with its routes, and all of a route that says its rate itself.
 */
export function bucketOf({ per, name, at: { level, place } }: RateRule, trustsPeer: TrustsPeer): BucketOf {
  const end = `}${name}:${place}`;
  switch (per) {
    case 'address': {
      const address = addressOf(trustsPeer);
      return (req, res) => `rate:{a${address(req, res)}${end}`;
    }
    case 'identity': {
      // Who has no token is somebody all the same, or leaving it away would lead around the limit. The variable is about tokens.
      const caller = level === 'environment' ? identityOf : callerOf(trustsPeer);
      return (req, res) => {
        const key = caller(req, res);
        return key === undefined ? undefined : `rate:{i${shortened(key)}${end}`;
      };
    }
    case 'service':
      return (_req, res) => `rate:{s${exchangeOf(res).service}${end}`;
    case 'route':
      // What is split among services is one route.
      if (level === 'route') return (_req, res) => `rate:{r${exchangeOf(res).route}${end}`;
      return (_req, res) => {
        const { service, route } = exchangeOf(res);
        return `rate:{s${service}${end}:${route}`;
      };
  }
}

function identityOf(_req: IncomingMessage, res: Response): string | undefined {
  return exchangeOf(res).identity?.key;
}
