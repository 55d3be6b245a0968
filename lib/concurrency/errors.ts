import { stackless } from '../util/stackless.ts';
import type { Permits, Refusal } from './permits.ts';

/** What is limited: requests of a service or of all, open streams of a service or of all, WebSockets, logins on their way. */
export type Limited = 'service' | 'gateway' | 'service_streams' | 'gateway_streams' | 'upgrades' | 'content';

type ConcurrencyCode = 'service_busy' | 'gateway_busy' | 'streams_busy' | 'upgrades_busy' | 'fair_share_used';

const CODES = {
  service: 'service_busy',
  gateway: 'gateway_busy',
  service_streams: 'streams_busy',
  gateway_streams: 'streams_busy',
  upgrades: 'upgrades_busy',
  content: 'gateway_busy',
} as const satisfies Record<Limited, ConcurrencyCode>;

/** What there is a limit of. */
const NAMES: Readonly<Record<Limited, readonly [owner: string, counted: string]>> = {
  service: ['the service', 'concurrent requests'],
  gateway: ['the gateway', 'concurrent requests'],
  service_streams: ['the service', 'open streams'],
  gateway_streams: ['the gateway', 'open streams'],
  upgrades: ['the gateway', 'upgraded connections'],
  content: ['the gateway', 'requests whose content it waits for'],
};

/** As many requests as allowed are under way already, of all callers or of this one: `code` tells which it is. */
export class ConcurrencyLimitError extends Error {
  override readonly name = 'ConcurrencyLimitError';
  readonly code: ConcurrencyCode;
  readonly status = 429;
  readonly retryAfterMs = 1000;

  constructor(limited: Limited, limit: number, refusal: Refusal = 'full') {
    const [owner, counted] = NAMES[limited];
    super(
      refusal === 'full'
        ? `${owner} is already at its limit of ${limit} ${counted}`
        : `the caller holds its share of the ${limit} ${counted} that ${owner} allows`,
    );
    this.code = refusal === 'full' ? CODES[limited] : 'fair_share_used';
  }
}

/** The errors for one limit, made once: a flood of refusals must not cost an error each. */
export function refusalsOf(limited: Limited, { limit }: Permits): Record<Refusal, ConcurrencyLimitError> {
  return {
    full: stackless(() => new ConcurrencyLimitError(limited, limit)),
    share: stackless(() => new ConcurrencyLimitError(limited, limit, 'share')),
  };
}
