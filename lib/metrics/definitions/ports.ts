import { counter, type GaugeDefinition } from '../series/definition.ts';

export interface PortReadings {
  /** In milliseconds since the epoch; undefined: there is no TLS, and no such gauge. */
  readonly certificateExpiresAtMs: (() => number) | undefined;
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

/** The certificate of the external port; no gauge without TLS. */
export function portGauges({ certificateExpiresAtMs }: PortReadings): GaugeDefinition[] {
  if (!certificateExpiresAtMs) return [];
  return [
    {
      name: 'gateway_certificate_expiry_seconds',
      help: 'When the TLS certificate in use ends, in seconds since 1970.',
      labels: [],
      read: () => [[certificateExpiresAtMs() / 1000]],
    },
  ];
}
