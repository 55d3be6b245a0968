import type { ServiceInput } from '../../../config/file/schema.ts';
import { bearer, type TestGatewayOptions, tokenFor } from '../../support/gateway/gateway.ts';

export type RateInput = NonNullable<NonNullable<ServiceInput['limits']>['rate']>;
export type ServiceOptions = TestGatewayOptions['services'][string];

/** A way to say a rate, of which `pro`, who is ANN, gets `limit`. */
export interface RatedRule {
  readonly rule: string;
  /** What its name in `RateLimit` ends with. */
  readonly per: 'identity' | 'address' | 'service' | 'route';
  readonly rate: (limit: string) => Exclude<RateInput, readonly unknown[]>;
}

const per = (name: RatedRule['per']): RatedRule => ({
  rule: `per ${name}`,
  per: name,
  rate: (limit) => ({ per: name, limit }),
});

/** Every way in which `limits.rate` can be said. */
export const RATED_RULES: readonly RatedRule[] = [
  per('identity'),
  per('address'),
  per('service'),
  per('route'),
  {
    rule: 'by a claim',
    per: 'identity',
    rate: (limit) => ({ per: 'identity', by: 'claim:plan', limits: { pro: limit, default: '1/1h' } }),
  },
];

/** The fields of a request of this user, whose plan is `pro`. */
export const proUser = (name: string) => bearer(tokenFor(name, { plan: 'pro' }));
