import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';

/** A certificate and the key that belongs to it. */
export interface KeyPair {
  /** PEM: the certificate first, then those that lead to a root. */
  readonly cert: string;
  /** PEM, not encrypted. */
  readonly key: string;
  /** In milliseconds since the epoch. */
  readonly expiresAtMs: number;
}

/** Checks that both can be served with. Throws an error that says which is wrong, and never what a key holds. */
export function keyPair(cert: string, key: string): KeyPair {
  const leaf = certificateIn(cert);
  if (!leaf.checkPrivateKey(privateKeyIn(key))) {
    throw new Error('the key does not belong to the first certificate in the file');
  }
  // OpenSSL's own opinion: a key may be too short, a certificate further down may be broken.
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
    // A passphrase in a setting beside the file would protect nothing.
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
