import { counter, type GaugeDefinition } from '../series/definition.ts';

export interface PortReadings {
  /** In milliseconds since the epoch; undefined: there is no TLS, and no such gauge. */
  readonly certificateExpiresAtMs: (() => number) | undefined;
  /** The certificates that services are shown. Default: there are none, and no such gauge. */
  readonly upstreamCertificates?: (() => Iterable<UpstreamCertificateReading>) | undefined;
}

/** The certificate that a service is shown. */
export interface UpstreamCertificateReading {
  /** Path of the service. */
  readonly service: string;
  readonly expiresAtMs: number;
}

/** Connections and requests that the ports themselves refused. */
export const PORT_COUNTERS = {
  adminRefused: counter(
    'gateway_admin_refused_total',
    ['outcome'],
    'Requests under /admin without the admin token: a wrong one, none, or after too many wrong ones.',
  ),
  internalPeersRefused: counter(
    'gateway_internal_peers_refused_total',
    [],
    'Connections to the internal port that were closed because their peer had no private address.',
  ),
  tlsFailures: counter(
    'gateway_tls_handshake_failures_total',
    [],
    'Connections of which no TLS connection came.',
  ),
};

/** The certificates of the external port and those that services are shown; no gauge without them. */
export function portGauges({
  certificateExpiresAtMs,
  upstreamCertificates,
}: PortReadings): GaugeDefinition[] {
  const own: GaugeDefinition[] = certificateExpiresAtMs
    ? [
        {
          name: 'gateway_certificate_expiry_seconds',
          help: 'When the TLS certificate in use ends, in seconds since 1970.',
          labels: [],
          read: () => [[certificateExpiresAtMs() / 1000]],
        },
      ]
    : [];
  const shown: GaugeDefinition[] = upstreamCertificates
    ? [
        {
          name: 'gateway_upstream_certificate_expiry_seconds',
          help: 'When the certificate ends that the gateway shows a service, in seconds since 1970.',
          labels: ['service'],
          aggregator: 'min',
          read: () =>
            Array.from(upstreamCertificates(), ({ service, expiresAtMs }) => [expiresAtMs / 1000, service]),
        },
      ]
    : [];
  return [...own, ...shown];
}
