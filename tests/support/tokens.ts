import { createHmac } from 'node:crypto';
import jwt, { type SignOptions } from 'jsonwebtoken';
import { Authenticator } from '../../lib/auth/authenticator.ts';
import { Revocations } from '../../lib/auth/revocation/revocations.ts';
import { TokenRegistry } from '../../lib/auth/revocation/tokenRegistry.ts';
import type { Algorithm } from '../../lib/auth/tokens/algorithms.ts';
import { createVerifier, type Verify } from '../../lib/auth/tokens/verifier.ts';
import type { TokenStore } from '../../lib/store/store.ts';
import { ManualClock } from './manualClock.ts';
import { memoryTokens } from './stores/memoryStore.ts';

export const SECRET = 'a secret that only the tests know';
export const HOUR_MS = 60 * 60 * 1000;
export const ACTIVE_TTL_MS = HOUR_MS / 2;

/** A token that is good for an hour from `clock`'s now, unless `claims` say otherwise; undefined leaves one out. */
export function sign(clock: ManualClock, claims: object = {}, options: SignOptions = {}): string {
  const nowSeconds = Math.floor(clock.now() / 1000);
  const all = { sub: 'alice', iat: nowSeconds, exp: nowSeconds + 3600, ...claims };
  return jwt.sign(JSON.parse(JSON.stringify(all)), SECRET, options);
}

/** A token with this very text for a payload: JSON that no library would write, too. */
export function signText(
  payload: string | Buffer,
  header: object = { alg: 'HS256', typ: 'JWT' },
  secret = SECRET,
): string {
  const signed = [JSON.stringify(header), payload].map((part) => Buffer.from(part).toString('base64url'));
  const signature = createHmac('sha256', secret).update(signed.join('.')).digest('base64url');
  return [...signed, signature].join('.');
}

export interface AuthParts {
  readonly clock: ManualClock;
  readonly store: TokenStore;
  readonly authenticator: Authenticator;
  readonly registry: TokenRegistry;
  readonly revocations: Revocations;
  /** Tokens whose signature was verified, in order: what is remembered is not verified again. */
  readonly verified: readonly string[];
}

export interface AuthPartsOptions {
  readonly clock?: ManualClock;
  readonly store?: TokenStore;
  readonly algorithms?: readonly Algorithm[];
  readonly requireExpiry?: boolean;
  readonly clockToleranceMs?: number;
  readonly requireActive?: boolean;
  readonly onStoreFailure?: 'refuse' | 'allow';
  readonly onStoreError?: (error: Error) => void;
}

/** An authenticator on a store in memory. */
export function authParts(options: AuthPartsOptions = {}): AuthParts {
  const { clock = new ManualClock(), algorithms = ['HS256'], requireExpiry, ...rest } = options;
  const { clockToleranceMs = 0 } = options;
  const { store = memoryTokens(clock) } = options;
  const verified: string[] = [];
  const verifier = createVerifier({
    secret: SECRET,
    algorithms,
    clockToleranceMs,
    ...(requireExpiry !== undefined && { requireExpiry }),
    clock,
  });
  const verify: Verify = (token) => {
    verified.push(token);
    return verifier(token);
  };
  const revocations = new Revocations({ store, clockToleranceMs, clock });
  const registry = new TokenRegistry({ store, revocations, activeTtlMs: ACTIVE_TTL_MS, clock });
  const authenticator = new Authenticator({ verify, registry, clock, ...rest });
  return { clock, store, authenticator, registry, revocations, verified };
}
