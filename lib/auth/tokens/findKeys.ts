import type { KeyObject } from 'node:crypto';
import type { CryptoKey } from 'jose';

/** How many keys a token is checked with when it names none: each costs the verification of a signature. */
export const MAX_KEYS_TRIED = 10;

/** What a token's header says about its key. */
export interface KeyHints {
  readonly alg: string;
  readonly kid?: string;
}

/**
 * Finds the public keys that may have signed a token: the key that its header names, or else every key that fits. Rejects
 * with `TokenError` when there is none, or with `KeysUnavailableError`.
 */
export type FindKeys = (hints: KeyHints) => Promise<readonly (CryptoKey | KeyObject)[]>;
