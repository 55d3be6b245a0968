import type { Settings } from '../../config/config.ts';
import { allRoutes } from '../../config/routes/complete.ts';
import type { Clock } from '../../lib/clock/clock.ts';
import type { Logger } from '../../lib/logging/logger.ts';
import type { Metrics } from '../../lib/metrics/metrics.ts';
import type { Spans } from '../../lib/tracing/spans.ts';
import { throttled } from '../logs/throttled.ts';
import { VERSION } from '../process/version.ts';

export interface SpansOptions {
  readonly settings: Pick<Settings, 'otlpEndpoint' | 'services' | 'routes'>;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** Records requests for OpenTelemetry. Undefined without an endpoint; then its SDK is not loaded either. */
export async function createSpans({
  settings,
  metrics,
  logger,
  clock,
}: SpansOptions): Promise<Spans | undefined> {
  const { otlpEndpoint } = settings;
  if (otlpEndpoint === undefined) return undefined;
  const logError = throttled(clock, (error: Error) =>
    logger.warn(`OpenTelemetry: ${otlpEndpoint} does not take spans`, { error }),
  );
  const { openTelemetry } = await import('../../lib/tracing/openTelemetry.ts');
  return openTelemetry({
    endpoint: otlpEndpoint,
    serviceName: 'faf-cab-gateway',
    version: VERSION,
    clock,
    pathOfRoute: new Map(allRoutes(settings).map(({ name, match }) => [name, match.path])),
    onError: (error) => {
      metrics.spanExportErrors.count();
      logError(error);
    },
  });
}
