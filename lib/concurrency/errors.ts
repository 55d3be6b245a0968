import { stackless } from '../util/stackless.ts';
import type { Permits, Refusal } from './permits.ts';

/** What is limited: requests and open streams, of one service or of all, WebSockets, and logins whose content arrives. */
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

/** Who has the limit, and what it counts. */
const NAMES: Readonly<Record<Limited, readonly [owner: string, counted: string]>> = {
  service: ['the service', 'concurrent requests'],
  gateway: ['the gateway', 'concurrent requests'],
  service_streams: ['the service', 'open streams'],
  gateway_streams: ['the gateway', 'open streams'],
  upgrades: ['the gateway', 'upgraded connections'],
  content: ['the gateway', 'requests whose content it waits for'],
};

/** As many requests as allowed are under way already: of all callers, or of this caller. `code` tells which. */
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

/** The errors for one limit. They are made once, so that a flood of refusals does not cost an error each. */
export function refusalsOf(limited: Limited, { limit }: Permits): Record<Refusal, ConcurrencyLimitError> {
  return {
    full: stackless(() => new ConcurrencyLimitError(limited, limit)),
    share: stackless(() => new ConcurrencyLimitError(limited, limit, 'share')),
  };
}
