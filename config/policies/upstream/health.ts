import { z } from 'zod';
import type { HealthTerms, StatusRange } from '../../../lib/healthcheck/contract.ts';
import { isTarget } from '../../../lib/http1/grammar.ts';
import { formatDuration } from '../../kinds/durations.ts';
import { duration, kind } from '../../kinds/kinds.ts';
import { policy } from '../policy.ts';

export interface HealthSettings {
  /** How the replicas of the service are checked; undefined: the gateway does not ask them. */
  readonly health: HealthTerms | undefined;
}

const INTERVAL_MS = 10_000;
const TIMEOUT_MS = 3_000;
const HEALTHY_AFTER = 2;
const UNHEALTHY_AFTER = 3;
const SUCCESSFUL: readonly StatusRange[] = [{ from: 200, to: 299 }];

const MOST_IN_A_ROW = 100;
const LEAST_STATUS = 200;
const MOST_STATUS = 599;

const TIMES = { error: `a whole number from 1 to ${MOST_IN_A_ROW}` };
const PORT = { error: 'a port from 1 to 65535' };
const STATUSES = {
  error: `a status from ${LEAST_STATUS} to ${MOST_STATUS}, a range such as 200-399, or a list of these`,
};

const path = kind('a path such as /actuator/health/readiness, without blanks and #', (given) =>
  given.startsWith('/') && isTarget(given) && !given.includes('#') ? given : undefined,
);

const status = z
  .union([z.int(STATUSES), z.string(STATUSES)], STATUSES)
  .transform((given, context): StatusRange => {
    const [, first, last = first] = /^(\d{3})(?:-(\d{3}))?$/.exec(String(given)) ?? [];
    const [from, to] = [Number(first), Number(last)];
    if (LEAST_STATUS <= from && from <= to && to <= MOST_STATUS) return { from, to };
    context.addIssue({ code: 'custom', message: STATUSES.error });
    return z.NEVER;
  });

function times() {
  return z.int(TIMES).min(1, TIMES).max(MOST_IN_A_ROW, TIMES).optional();
}

export const health = policy({
  schema: z
    .union(
      [
        z.literal('off'),
        z.literal(false),
        z.strictObject({
          path: path.schema.optional().describe('What replicas are asked for: /actuator/health/readiness.'),
          interval: duration.schema.optional().describe('From one probe of a replica to the next: 10s.'),
          timeout: duration.schema.optional().describe('How long a probe may take: 3s.'),
          healthyAfter: times().describe('Probes in a row that must pass to give it requests again: 2.'),
          unhealthyAfter: times().describe('Probes in a row that must fail to give it no more requests: 3.'),
          status: z
            .union([status.transform((one) => [one]), z.array(status, STATUSES).min(1, STATUSES)], STATUSES)
            .optional()
            .describe('Status codes with which a probe passes: 200-299.'),
          port: z
            .int(PORT)
            .min(1, PORT)
            .max(65_535, PORT)
            .optional()
            .describe('The port that is asked. Default: the one of the replica.'),
        }),
      ],
      { error: 'off or an object with a path' },
    )
    .describe('Whether the gateway asks the replicas themselves how they are. Default: off.'),
  settings: (said): HealthSettings => {
    // `defaults` without a path only say how those services are asked that name one.
    if (typeof said !== 'object' || said.path === undefined) return { health: undefined };
    return {
      health: {
        path: said.path,
        intervalMs: said.interval ?? INTERVAL_MS,
        timeoutMs: said.timeout ?? TIMEOUT_MS,
        healthyAfter: said.healthyAfter ?? HEALTHY_AFTER,
        unhealthyAfter: said.unhealthyAfter ?? UNHEALTHY_AFTER,
        statuses: said.status ?? SUCCESSFUL,
        port: said.port,
      },
    };
  },
  problem: (said, isWhole) =>
    isWhole && typeof said === 'object' && said.path === undefined
      ? { at: [], text: 'has no path: expected one such as /actuator/health/readiness' }
      : undefined,
  isOfServices: true,
});

/** In few words: `/health each 10s`. */
export function healthText({ health: terms }: HealthSettings): string {
  return terms ? `${terms.path} each ${formatDuration(terms.intervalMs)}` : 'off';
}

/** Status codes as a file has them: `200-299 401`. */
export function statusText(statuses: readonly StatusRange[]): string {
  return statuses.map(({ from, to }) => (from === to ? String(from) : `${from}-${to}`)).join(' ');
}
