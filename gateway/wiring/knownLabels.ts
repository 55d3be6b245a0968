import type { Service } from '../../config/sections/services.ts';
import type { KnownLabels } from '../../lib/metrics/metrics.ts';
import { REPLIES } from '../errors.ts';
import type { Port } from '../port.ts';

/** Of the admin token. */
const ADMIN_REFUSALS = ['wrong_token', 'no_token', 'too_many'];

const PORTS: readonly Port[] = ['external', 'internal'];

/** Label values that counters show at 0 from the start: `rate()` sees the first event only as a rise from there. */
export function knownLabels(services: readonly Service[]): KnownLabels {
  const codes = Object.keys(REPLIES) as (keyof typeof REPLIES)[];
  return {
    service: services.map(({ path }) => path),
    serviceWithBreaker: services.filter(({ breaker }) => breaker).map(({ path }) => path),
    port: PORTS,
    call: ['list', 'update'],
    policy: ['address', 'identity'],
    // What else is refused is the client's affair, and nobody is woken for it.
    code: codes.filter((code) => REPLIES[code].status === 429 || REPLIES[code].status >= 500),
    outcome: ADMIN_REFUSALS,
    reason: codes.filter((code) => code.startsWith('token_')),
  };
}
