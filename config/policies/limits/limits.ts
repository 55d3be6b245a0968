import { z } from 'zod';
import { bytes, MAX_COUNT } from '../../kinds/kinds.ts';
import { inherit, OBJECT, policy, textOrNumber } from '../policy.ts';
import { type RateRule, rateRules, ratesSchema } from './rates.ts';

export interface LimitSettings {
  /** Requests of users in flight at a time, 1 or more. */
  readonly concurrency: number;
  /** Streams of users open at a time, 0 or more. */
  readonly streams: number;
  /** Largest content of a request, in bytes; 0: no limit. */
  readonly maxBodyBytes: number;
  /** Those of all levels, which all hold, the outermost first. */
  readonly rates: readonly RateRule[];
}

export const limits = policy({
  schema: z
    .strictObject(
      {
        concurrency: count(1).optional().describe('Requests of users under way at a time.'),
        streams: count(0).optional().describe('Streams of users open at a time.'),
        body: textOrNumber(bytes(0)).optional().describe("Largest request content: 10MiB. '0': no limit."),
        rate: ratesSchema.optional(),
      },
      OBJECT,
    )
    .describe('How much users may ask of the service.'),
  settings: (said, environment): LimitSettings => ({
    concurrency: said?.concurrency ?? environment.concurrency,
    streams: said?.streams ?? environment.streams,
    maxBodyBytes: said?.body ?? environment.maxBodyBytes,
    rates: [...environment.rates, ...rateRules(said?.rate ?? [])],
  }),
  inherit: (inner, outer) => {
    const merged = inherit(inner, outer) ?? inner;
    if (!inner.rate || !outer.rate) return merged;
    return { ...merged, rate: [...outer.rate, ...inner.rate] };
  },
  tightens: (own, outer) =>
    bodyOf(own) < bodyOf(outer) ||
    own.concurrency < outer.concurrency ||
    own.streams < outer.streams ||
    own.rates.length > outer.rates.length,
});

function bodyOf({ maxBodyBytes }: LimitSettings): number {
  return maxBodyBytes === 0 ? Number.POSITIVE_INFINITY : maxBodyBytes;
}

function count(min: 0 | 1) {
  const error = { error: `a whole number from ${min} to ${MAX_COUNT}` };
  return z.int(error).min(min, error).max(MAX_COUNT, error);
}
