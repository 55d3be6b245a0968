import type { Settings } from '../../../config/config.ts';
import type { Clock } from '../../../lib/clock/clock.ts';
import type { Logger } from '../../../lib/logging/logger.ts';
import { Certificate } from '../../../lib/tls/certificate.ts';
import type { KeyPair } from '../../../lib/tls/keyPair.ts';
import { TlsServer } from '../../../lib/tls/tlsServer.ts';
import { type OnRefused, refuse } from '../../http/refusal.ts';
import type { CreateServer } from '../../http/server.ts';
import type { Parts } from '../parts.ts';

/**
 * Opens the certificate of the external port; undefined when the settings name none. Rejects when it cannot be used.
 */
export async function openCertificate(
  { tlsCertFile, tlsKeyFile }: Settings,
  logger: Logger,
  clock: Clock,
): Promise<Certificate | undefined> {
  if (tlsCertFile === undefined || tlsKeyFile === undefined) return undefined;
  const certificate = await Certificate.open({
    certFile: tlsCertFile,
    keyFile: tlsKeyFile,
    onRenewed: (pair) => logger.info(`TLS certificate renewed: good until ${endOf(pair)}`),
    onBroken: (error) => {
      const inForce = `the one good until ${endOf(certificate.pair)} stays`;
      logger.error(`TLS certificate in ${tlsCertFile} and ${tlsKeyFile} cannot be used: ${inForce}`, {
        error,
      });
    },
    clock,
  });
  logger.info(`TLS certificate good until ${endOf(certificate.pair)}`);
  return certificate;
}

/** Makes a server that speaks TLS with the certificate; undefined without one. */
export function overTls(
  { certificate, metrics, logger, clock }: Pick<Parts, 'certificate' | 'metrics' | 'logger' | 'clock'>,
  onRefused: OnRefused,
): CreateServer | undefined {
  if (!certificate) return undefined;
  return (options) =>
    new TlsServer(options, {
      certificate,
      clock,
      onPlainHttp: (socket) => refuse(socket, 'tls_required', onRefused),
      onHandshakeFailed: (error) => {
        metrics.tlsFailures.count();
        logger.debug('No TLS connection came of a client', { error });
      },
    });
}

function endOf({ expiresAtMs }: KeyPair): string {
  return new Date(expiresAtMs).toISOString();
}
