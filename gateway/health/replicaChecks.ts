import type { Settings } from '../../config/config.ts';
import type { Service } from '../../config/sections/services.ts';
import type { Clock } from '../../lib/clock/clock.ts';
import { prober } from '../../lib/healthcheck/probe.ts';
import { ServiceChecks } from '../../lib/healthcheck/serviceChecks.ts';
import { READ_BYTES } from '../../lib/http1/pool.ts';
import type { ReplicaPool } from '../../lib/loadbalancer/pool.ts';
import type { Logger } from '../../lib/logging/logger.ts';
import type { Metrics } from '../../lib/metrics/metrics.ts';
import { checkLog } from '../logs/checkLog.ts';
import { VERSION } from '../process/version.ts';
import type { Transports } from '../wiring/tls/transports.ts';

const USER_AGENT = `faf-cab-gateway/${VERSION} (health check)`;

export interface ReplicaChecksParts {
  readonly settings: Pick<Settings, 'services' | 'maxResponseHeadBytes'>;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly transports: Pick<Transports, 'of'>;
  readonly clock: Clock;
  readonly random: () => number;
}

/** Makes the checks of a service's replicas, which tell its pool what they find; undefined: it has none. */
export type NewChecks = (pool: ReplicaPool) => ServiceChecks;

/** Says how the replicas of each service are checked. Of several threads only the main thread does it, for all. */
export function replicaChecks(parts: ReplicaChecksParts): (service: Service) => NewChecks | undefined {
  const { settings, logger, metrics, transports, clock, random } = parts;
  const log = checkLog(logger, metrics);
  const isUsed = settings.services.some(({ health }) => health);
  const readBuffer = Buffer.allocUnsafeSlow(isUsed ? READ_BYTES : 0);

  return ({ path, basePath, host, health }) => {
    if (!health) return undefined;
    const transport = transports.of({ path });
    const fields = ['User-Agent', USER_AGENT, 'Accept', '*/*'];
    const probe = prober({
      target: basePath + health.path,
      // Nobody's Host can be passed on: without a name it is the replica's own.
      fields: typeof host === 'object' ? ['Host', host.name, ...fields] : fields,
      timeoutMs: health.timeoutMs,
      statuses: health.statuses,
      port: health.port,
      maxHeadBytes: settings.maxResponseHeadBytes,
      tls: () => transport.tls,
      readBuffer,
      clock,
    });
    return (pool) =>
      new ServiceChecks({
        terms: health,
        probe,
        letThrough: (key, passes) => pool.letThrough(key, passes),
        onEvent: (event) => log.event(path, event),
        onOutcome: (outcome) => log.outcome(path, outcome),
        clock,
        random,
      });
  };
}
