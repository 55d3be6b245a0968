import { X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { keyPair } from './keyPair.ts';

/** The oldest version of TLS that a client speaks. */
export type TlsVersion = 'TLSv1.2' | 'TLSv1.3';

/** The texts of the files that a client's TLS connections depend on. */
export interface ClientFiles {
  /** PEM: the certification authorities that are trusted, and no others. Undefined: those that Node brings. */
  readonly ca?: string | undefined;
  /** PEM: the client's certificate first, then the intermediate ones. */
  readonly cert?: string | undefined;
  /** PEM, not encrypted. Given with `cert`, and never alone. */
  readonly key?: string | undefined;
}

export interface ClientTermsOptions {
  readonly minVersion: TlsVersion;
  /** The name that is sent (SNI) and that the server's certificate must have. Undefined: the host that is connected to. */
  readonly serverName?: string | undefined;
  /** Milliseconds since the epoch: what is no longer or not yet valid then is refused. */
  readonly nowMs: number;
}

/** How a client opens TLS connections. */
export interface ClientTerms {
  readonly secureContext: SecureContext;
  readonly serverName: string | undefined;
  /** When the client's certificate ends, in milliseconds since the epoch; undefined: it has none. */
  readonly expiresAtMs: number | undefined;
}

/** One of the files cannot be used. The message says why, and never shows a key. */
export class ClientFileError extends Error {
  override readonly name = 'ClientFileError';
  readonly part: keyof ClientFiles;

  constructor(part: keyof ClientFiles, reason: string, cause?: unknown) {
    super(reason, { cause });
    this.part = part;
  }
}

const BLOCK = /-----BEGIN ([^-\r\n]+)-----[^-]*-----END \1-----/g;

/**
 * Makes the terms of the files' texts. Throws `ClientFileError` for whatever is not whole: OpenSSL itself would take the good
 * half of a broken file and trust less, or nobody, without a word.
 */
export function clientTerms(files: ClientFiles, options: Readonly<ClientTermsOptions>): ClientTerms {
  const { minVersion, serverName, nowMs } = options;
  const { ca, cert, key } = files;
  if (ca !== undefined) checkAuthorities(ca, nowMs);
  const expiresAtMs = cert === undefined || key === undefined ? undefined : checkPair(cert, key, nowMs);
  const secureContext = createSecureContext({ ca, cert, key, minVersion });
  return { secureContext, serverName, expiresAtMs };
}

/** Of several authorities some may have ended: bundles hold the old one beside the new. */
function checkAuthorities(pem: string, nowMs: number): void {
  const certificates = certificatesIn('ca', pem);
  if (certificates.some((certificate) => certificate.validToDate.getTime() > nowMs)) return;
  const [latest] = certificates.map(({ validToDate }) => validToDate).sort((a, b) => Number(b) - Number(a));
  throw new ClientFileError('ca', `every certificate in it has expired, the last on ${dayOf(latest)}`);
}

function checkPair(cert: string, key: string, nowMs: number): number {
  const [leaf] = certificatesIn('cert', cert);
  const { validFromDate, validToDate } = leaf;
  if (validToDate.getTime() <= nowMs) {
    throw new ClientFileError('cert', `the certificate has expired on ${dayOf(validToDate)}`);
  }
  if (validFromDate.getTime() > nowMs) {
    throw new ClientFileError('cert', `the certificate is valid only from ${dayOf(validFromDate)} on`);
  }
  try {
    return keyPair(cert, key).expiresAtMs;
  } catch (error) {
    throw new ClientFileError('key', (error as Error).message, error);
  }
}

/** All certificates in a file, at least one. Text between them is a comment. */
function certificatesIn(part: 'ca' | 'cert', pem: string): [X509Certificate, ...X509Certificate[]] {
  const blocks = [...pem.matchAll(BLOCK)];
  const begun = pem.match(/-----BEGIN /g)?.length ?? 0;
  if (pem.trim() === '') throw new ClientFileError(part, 'it is empty');
  if (begun > blocks.length) throw new ClientFileError(part, 'it breaks off in the middle');
  const other = blocks.find(([, label]) => label !== 'CERTIFICATE');
  // Some keep a certificate and its key in one file. The key of an authority has no business here.
  if (other && part === 'ca') {
    throw new ClientFileError(part, `it holds a ${other[1]}, and only certificates belong there`);
  }
  const [first, ...rest] = blocks
    .filter(([, label]) => label === 'CERTIFICATE')
    .map(([block], at) => certificateIn(part, block, at));
  if (!first) throw new ClientFileError(part, 'it holds no certificate in PEM');
  return [first, ...rest];
}

function certificateIn(part: 'ca' | 'cert', pem: string, at: number): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new ClientFileError(part, `certificate ${at + 1} in it is not one in PEM`, cause);
  }
}

function dayOf(date: Date | undefined): string {
  return date?.toISOString().slice(0, 10) ?? '';
}
