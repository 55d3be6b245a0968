import type { Settings } from '../../../config/config.ts';
import { TLS_PARTS, type UpstreamTls } from '../../../config/policies/upstream/tls.ts';
import type { Service } from '../../../config/sections/services.ts';
import type { Clock } from '../../../lib/clock/clock.ts';
import { READ_BYTES } from '../../../lib/http1/pool.ts';
import type { Logger } from '../../../lib/logging/logger.ts';
import type { UpstreamCertificateReading } from '../../../lib/metrics/definitions/ports.ts';
import { Transport } from '../../../lib/proxy/transport.ts';
import { ClientFileError, type ClientTerms, clientTerms } from '../../../lib/tls/clientTerms.ts';
import { RenewedFiles } from '../../../lib/tls/renewedFiles.ts';
import { transportOptions } from '../network.ts';

/**
 * The connections to replicas. Whoever asks a replica of a service, for whatever reason, does so over the transport of that
 * service: it knows the service's terms of TLS.
 */
export class Transports {
  readonly #shared: Transport;
  readonly #own: ReadonlyMap<string, Transport>;
  readonly #files: ReadonlyMap<string, RenewedFiles<ClientTerms>>;

  /**
   * @param shared of all services without terms of their own
   * @param own the others', by path of the service
   */
  constructor(
    shared: Transport,
    own: ReadonlyMap<string, Transport> = new Map(),
    files: ReadonlyMap<string, RenewedFiles<ClientTerms>> = new Map(),
  ) {
    this.#shared = shared;
    this.#own = own;
    this.#files = files;
  }

  /** The transport of a service. Two services share one only if neither has terms of TLS. */
  of({ path }: Pick<Service, 'path'>): Transport {
    return this.#own.get(path) ?? this.#shared;
  }

  /** The certificates that services are shown. */
  get certificates(): UpstreamCertificateReading[] {
    return Array.from(this.#files, ([service, { value }]) => ({
      service,
      expiresAtMs: value.expiresAtMs,
    })).filter((reading): reading is UpstreamCertificateReading => reading.expiresAtMs !== undefined);
  }

  /** Looks at the files of certificates from here on. */
  watch(): void {
    for (const files of this.#files.values()) files.watch();
  }

  /** Closes every connection at once. */
  async destroy(): Promise<void> {
    for (const files of this.#files.values()) files.stop();
    await Promise.all([this.#shared, ...this.#own.values()].map((transport) => transport.destroy()));
  }
}

export interface OpenTransportsOptions {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Of several threads the main thread says what becomes of files, once for all. */
  readonly threads?: unknown;
}

/** The transports of all services. Rejects when a file cannot be used. */
export async function openTransports(options: OpenTransportsOptions): Promise<Transports> {
  const { settings } = options;
  // Reading is over before the next socket is read.
  const terms = { ...transportOptions(settings), readBuffer: Buffer.allocUnsafeSlow(READ_BYTES) };
  const own = new Map<string, Transport>();
  const files = new Map<string, RenewedFiles<ClientTerms>>();
  for (const { name, path, tls } of settings.services) {
    if (!tls) continue;
    const renewed = await openFiles(name, tls, options);
    const transport = new Transport({ ...terms, tls: renewed.value });
    renewed.follow((terms) => transport.renew(terms));
    own.set(path, transport);
    files.set(path, renewed);
  }
  return new Transports(new Transport(terms), own, files);
}

/** Transports of a gateway that opens no connections: no file is read. */
export function idleTransports(settings: Settings): Transports {
  return new Transports(new Transport(transportOptions(settings)));
}

function openFiles(
  name: string,
  { files, serverName, minVersion }: UpstreamTls,
  { logger, clock, threads }: OpenTransportsOptions,
): Promise<RenewedFiles<ClientTerms>> {
  const parts = TLS_PARTS.filter((part) => files[part] !== undefined);
  const paths = parts.map((part) => files[part] as string);
  const said = parts.map((part) => `tls.${part} ${files[part]}`).join(', ');
  return RenewedFiles.open({
    files: paths,
    parse: (texts) =>
      clientTerms(Object.fromEntries(parts.map((part, at) => [part, texts[at]])), {
        ...{ serverName, minVersion },
        nowMs: clock.now(),
      }),
    onRenewed: ({ expiresAtMs }) =>
      logger.log(
        threads ? 'debug' : 'info',
        `TLS files of ${name} renewed${untilText(expiresAtMs)}: ${said}`,
      ),
    onBroken: (error) => {
      const which = error instanceof ClientFileError ? `tls.${error.part} ${files[error.part]}` : said;
      logger.log(
        threads ? 'debug' : 'warn',
        `TLS file of ${name} cannot be used, what was read before stays: ${which}: ${error.message}`,
      );
    },
    clock,
  });
}

function untilText(expiresAtMs: number | undefined): string {
  return expiresAtMs === undefined ? '' : `, certificate good until ${new Date(expiresAtMs).toISOString()}`;
}
