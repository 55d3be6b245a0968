import { NotConnectedError } from './errors.ts';

/**
 * Who ended it and why: we did not accept the other side's certificate; the other side sent an alert; or what it sent is no
 * TLS that we can speak.
 */
export type TlsFailure = 'certificate' | 'alert' | 'protocol';

/**
 * No TLS connection came about. With TLS 1.3 an alert may arrive after our part of the handshake, as the first thing that is
 * read: a server looks at a client's certificate that late.
 */
export class TlsFailedError extends NotConnectedError {
  override readonly name = 'TlsFailedError';
  readonly failure: TlsFailure;

  constructor(failure: TlsFailure, explanation: string, cause: NodeJS.ErrnoException) {
    super(cause, explanation);
    this.failure = failure;
  }
}

/** Alerts about the certificate that we showed, or did not have (RFC 8446 section 6.2). */
const ABOUT_OUR_CERTIFICATE =
  /^(?:NO_CERTIFICATE|BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_|UNKNOWN_CA|ACCESS_DENIED)/;

/** How OpenSSL names alerts that were received: `ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED`. */
const ALERT = /^ERR_SSL_(?:SSLV3|TLSV1|TLSV13|SSL\/TLS)_(?:ALERT_)?(.+)$/;

/** What is wrong with a certificate, by the code of Node and OpenSSL. */
const CERTIFICATE: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet',
  CERT_REVOKED: 'its certificate is revoked',
  CERT_REJECTED: 'its certificate is rejected',
  CERT_UNTRUSTED: 'its certificate is not trusted',
  CERT_CHAIN_TOO_LONG: 'its chain of certificates is too long',
  CERT_SIGNATURE_FAILURE: 'a signature in its certificates is wrong',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate signs itself and is not trusted',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is of an unknown CA',
  UNABLE_TO_GET_ISSUER_CERT: 'its certificate is of an unknown CA',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is of an unknown CA',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is of an unknown CA',
  UNABLE_TO_DECRYPT_CERT_SIGNATURE: 'a signature in its certificates is wrong',
  UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY: 'a key in its certificates cannot be read',
  ERROR_IN_CERT_NOT_BEFORE_FIELD: 'a time in its certificate cannot be read',
  ERROR_IN_CERT_NOT_AFTER_FIELD: 'a time in its certificate cannot be read',
  INVALID_CA: 'its certificate is of a CA that may sign none',
  INVALID_PURPOSE: 'its certificate is not for servers',
  PATH_LENGTH_EXCEEDED: 'its chain of certificates is longer than its CA allows',
  HOSTNAME_MISMATCH: 'its certificate is for another name',
  CA_KEY_TOO_SMALL: 'the key of its CA is too short',
  EE_KEY_TOO_SMALL: 'the key of its certificate is too short',
  CA_MD_TOO_WEAK: 'a signature in its certificates is too weak',
};

const WRONG_NAME = 'ERR_TLS_CERT_ALTNAME_INVALID';

/** What no server of TLS sends first: it speaks something else, most likely plain HTTP. */
const NO_TLS: ReadonlySet<string> = new Set([
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
  'ERR_SSL_HTTP_REQUEST',
]);

/** What an error of a socket means if TLS is the reason; undefined when it is not. */
export function tlsFailed(error: NodeJS.ErrnoException): TlsFailedError | undefined {
  const { code = '' } = error;
  const about = CERTIFICATE[code];
  if (about !== undefined) return new TlsFailedError('certificate', `${about} (${code})`, error);
  if (code === WRONG_NAME) {
    return new TlsFailedError('certificate', `its certificate is for another name: ${error.message}`, error);
  }
  const alert = ALERT.exec(code)?.[1];
  if (alert !== undefined) return new TlsFailedError('alert', `${alertText(alert)} (${code})`, error);
  if (NO_TLS.has(code)) return new TlsFailedError('protocol', `it does not speak TLS there (${code})`, error);
  if (!code.startsWith('ERR_SSL_') && code !== 'EPROTO') return undefined;
  return new TlsFailedError('protocol', `the TLS handshake failed: ${error.message} (${code})`, error);
}

function alertText(alert: string): string {
  if (ABOUT_OUR_CERTIFICATE.test(alert)) return 'it does not accept our client certificate, or wants one';
  if (alert === 'PROTOCOL_VERSION') return 'it speaks no version of TLS that is allowed here';
  if (alert === 'UNRECOGNIZED_NAME') return 'it does not know the server name that it was asked for';
  return `it broke the TLS handshake off with the alert ${alert.toLowerCase().replaceAll('_', ' ')}`;
}
