import jwt, { type Algorithm, type SignOptions } from 'jsonwebtoken';
import { Authenticator } from '../../lib/auth/authenticator.ts';
import { TokenRegistry } from '../../lib/auth/tokenRegistry.ts';
import { createVerifier, type VerifiedToken } from '../../lib/auth/verifier.ts';
import type { Store } from '../../lib/store/store.ts';
import { ManualClock } from './manualClock.ts';
import { memoryStore } from './memoryStore.ts';

export const SECRET = 'a secret that only the tests know';
export const HOUR_MS = 60 * 60 * 1000;
export const ACTIVE_TTL_MS = HOUR_MS / 2;

/** A token that is good for an hour from `clock`'s now, unless `claims` say otherwise; undefined leaves one out. */
export function sign(clock: ManualClock, claims: object = {}, options: SignOptions = {}): string {
  const nowSeconds = Math.floor(clock.now() / 1000);
  const all = { sub: 'alice', iat: nowSeconds, exp: nowSeconds + 3600, ...claims };
  return jwt.sign(JSON.parse(JSON.stringify(all)), SECRET, options);
}

export interface AuthParts {
  readonly clock: ManualClock;
  readonly store: Store;
  readonly authenticator: Authenticator;
  readonly registry: TokenRegistry;
  /** Tokens whose signature was verified, in order: what is remembered is not verified again. */
  readonly verified: readonly string[];
}

export interface AuthPartsOptions {
  readonly clock?: ManualClock;
  readonly store?: Store;
  readonly algorithms?: readonly Algorithm[];
  readonly requireActive?: boolean;
  readonly onStoreFailure?: 'refuse' | 'allow';
  readonly onStoreError?: (error: Error) => void;
}

/** An authenticator on a store in memory. */
export function authParts(options: AuthPartsOptions = {}): AuthParts {
  const { clock = new ManualClock(), algorithms = ['HS256'], ...rest } = options;
  const { store = memoryStore(clock) } = options;
  const verified: string[] = [];
  const verifier = createVerifier({ secret: SECRET, algorithms, clock });
  const verify = (token: string): VerifiedToken => {
    verified.push(token);
    return verifier(token);
  };
  const registry = new TokenRegistry({ store, activeTtlMs: ACTIVE_TTL_MS, clock });
  const authenticator = new Authenticator({ verify, registry, clock, ...rest });
  return { clock, store, authenticator, registry, verified };
}
