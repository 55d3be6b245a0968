import type { KeyObject } from 'node:crypto';
import type { CryptoKey } from 'jose';

/** Keys that one token is tried with at the most, where it names none: each costs the check of a signature. */
export const MAX_KEYS_TRIED = 10;

/** What a token's header says of its key. */
export interface KeyHints {
  readonly alg: string;
  readonly kid?: string;
}

/**
 * Finds the public keys that a token may be signed with, by its header: one where that names it, otherwise each that
 * fits. Rejects with `TokenError` when there is none, or with `KeysUnavailableError`.
 */
export type FindKeys = (hints: KeyHints) => Promise<readonly (CryptoKey | KeyObject)[]>;
