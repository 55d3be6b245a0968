import { Metrics } from '../../../lib/metrics/metrics.ts';
import { VERSION } from '../../process/version.ts';
import type { Parts } from '../parts.ts';
import { knownLabels } from './knownLabels.ts';
import { readings } from './readings.ts';

export interface GatewayMetricsOptions
  extends Pick<
    Parts,
    'settings' | 'stores' | 'services' | 'limits' | 'certificate' | 'transports' | 'threads'
  > {
  /** Asked at each scrape: the registry is made later, and counts its own errors in these metrics. */
  readonly registry: () => Pick<Parts['registry'], 'unknownNames'>;
}

/** The metrics of this thread, with gauges that read the state of the parts. Services may still be added to the list. */
export function gatewayMetrics(options: GatewayMetricsOptions): Metrics {
  const { settings, stores, services, limits, certificate, transports, threads, registry } = options;
  return new Metrics({
    readings: {
      ...readings(services, limits),
      storeUp: async () => (await stores.trouble()) === undefined,
      storeMayEvict: async () => (await stores.eviction()) !== undefined,
      redisNodes: settings.redisNodes.length > 0 ? () => stores.nodes() : undefined,
      cache: () => stores.responses.usage(),
      unknownNames: () => registry().unknownNames,
      certificateExpiresAtMs: certificate && (() => certificate.pair.expiresAtMs),
      upstreamCertificates: transports.certificates.length > 0 ? () => transports.certificates : undefined,
    },
    known: knownLabels(settings),
    version: VERSION,
    exemplars: settings.otlpEndpoint !== undefined,
    processMetrics: threads ? 'thread' : true,
  });
}
