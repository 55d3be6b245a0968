import { createPublicKey, type KeyObject } from 'node:crypto';
import { PUBLIC_KEY_ALGORITHMS, type PublicKeyAlgorithm } from './algorithms.ts';
import { invalid } from './claims.ts';
import type { FindKeys } from './findKeys.ts';

const EC_ALGORITHMS: Readonly<Record<string, PublicKeyAlgorithm>> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
};

export interface PemKeyOptions {
  /** A public key or certificate. */
  readonly pem: string;
  /** The accepted algorithms. `pemKey` throws `TypeError` when the key fits none of them. */
  readonly algorithms: readonly string[];
}

/** A single public key, with which every token is checked whatever `kid` its header names. */
export function pemKey({ pem, algorithms }: Readonly<PemKeyOptions>): FindKeys {
  const key = createPublicKey(pem);
  const fitting = algorithmsOf(key);
  const accepted: ReadonlySet<string> = new Set(fitting.filter((name) => algorithms.includes(name)));
  if (accepted.size === 0) {
    throw new TypeError(
      `The public key goes with ${fitting.join(', ') || 'no algorithm known here'}, the algorithms accepted are ` +
        `${algorithms.join(', ')}: set JWT_ALGORITHMS to what the tokens are signed with`,
    );
  }
  return async ({ alg }) => {
    if (accepted.has(alg)) return [key];
    throw invalid(`the public key does not go with ${alg}`);
  };
}

/** Whether a text is a key or certificate in PEM. Its public half is no secret, so it cannot serve as one. */
export function isPublicKey(text: string): boolean {
  try {
    createPublicKey(text);
    return true;
  } catch {
    return false;
  }
}

function algorithmsOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): readonly PublicKeyAlgorithm[] {
  switch (asymmetricKeyType) {
    case 'rsa':
      return PUBLIC_KEY_ALGORITHMS.filter((name) => /^[RP]S/.test(name));
    case 'ec':
      return [EC_ALGORITHMS[asymmetricKeyDetails?.namedCurve ?? '']].filter((name) => name !== undefined);
    case 'ed25519':
      return ['EdDSA', 'Ed25519'];
    default:
      return [];
  }
}
