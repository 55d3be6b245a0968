import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';

/** A certificate and its private key. */
export interface KeyPair {
  /** PEM: the certificate first, then the intermediate ones. */
  readonly cert: string;
  /** PEM, not encrypted. */
  readonly key: string;
  /** In milliseconds since the epoch. */
  readonly expiresAtMs: number;
}

/** Checks that the two can be used together. Throws an error that says which is wrong, without showing the key. */
export function keyPair(cert: string, key: string): KeyPair {
  const leaf = certificateIn(cert);
  if (!leaf.checkPrivateKey(privateKeyIn(key))) {
    throw new Error('the key does not belong to the first certificate in the file');
  }
  // OpenSSL checks the rest: a key may be too short, or an intermediate certificate broken.
  createSecureContext({ cert, key });
  return { cert, key, expiresAtMs: leaf.validToDate.getTime() };
}

function certificateIn(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new Error('the certificate is not one in PEM', { cause });
  }
}

function privateKeyIn(pem: string): KeyObject {
  if (/ENCRYPTED/.test(pem)) {
    // Encrypted keys are not supported: a passphrase in a setting beside the file would protect nothing.
    throw new Error(
      'the key is encrypted: take its passphrase off with openssl pkey -in key.pem -out plain.pem',
    );
  }
  try {
    return createPrivateKey(pem);
  } catch {
    throw new Error('the key is not a private key in PEM');
  }
}
