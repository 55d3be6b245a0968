import type { RequestHandler } from 'express';
import type { RateRule } from '../../../config/policies/limits/rates.ts';
import { exchangeOf } from '../../../lib/exchange/exchange.ts';
import { rateLimit as rateLimitMiddleware } from '../../../lib/ratelimit/middleware.ts';
import type { RateCounter } from '../../../lib/ratelimit/rate.ts';
import type { Parts } from '../../wiring/parts.ts';
import type { Stage } from '../stage.ts';
import { bucketOf } from './buckets.ts';

/** Lets so many requests of an address through in a time. */
export const addressRateLimit: Stage = ({ parts, service }) => {
  const rules = service.settings.rates.filter(({ per }) => per === 'address');
  return rateHandler(parts.rateLimits.addresses, rules, parts);
};

/** Lets so many requests of an identity, to a service or of a route through in a time. */
export const rateLimit: Stage = ({ parts, service }) => {
  const rules = service.settings.rates.filter(({ per }) => per !== 'address');
  // Identities first: who has had all of his own requests uses up nothing that others share.
  const ordered = [
    ...rules.filter(({ per }) => per === 'identity'),
    ...rules.filter(({ per }) => per !== 'identity'),
  ];
  return rateHandler(parts.rateLimits.others, ordered, parts);
};

function rateHandler(
  counter: RateCounter,
  rules: readonly RateRule[],
  { trustsPeer, metrics }: Parts,
): RequestHandler | undefined {
  if (rules.length === 0) return undefined;
  return rateLimitMiddleware({
    counter,
    policies: rules.map((rule) => ({ ...rule, bucketOf: bucketOf(rule, trustsPeer) })),
    onLimited: (policy, res) => {
      const { service, route } = exchangeOf(res);
      metrics.rateLimited.count(policy, service, route);
    },
  });
}
