import { type Clock, systemClock } from '../clock/clock.ts';
import type { Store } from '../store/store.ts';
import type { VerifiedToken } from './verifier.ts';

/** A token that never expires is remembered as revoked for this long. */
const FOREVER_MS = 10 * 365 * 24 * 60 * 60 * 1000;

export interface TokenRegistryOptions {
  readonly store: Store;
  /** How long a token counts as active after it was issued or last seen. */
  readonly activeTtlMs: number;
  readonly clock?: Clock;
}

/**
 * Which tokens are active and which are revoked, shared by all gateways on one store.
 *
 * Keys: `token:<jwt>` holds the active token's data as JSON, `blacklist:<sha256 of the jwt>` marks a revoked
 * one until its `exp`. Every method rejects with `StoreUnavailableError` when the store does not answer.
 */
export class TokenRegistry {
  readonly activeTtlMs: number;
  readonly #store: Store;
  readonly #clock: Clock;

  constructor({ store, activeTtlMs, clock = systemClock }: Readonly<TokenRegistryOptions>) {
    this.activeTtlMs = activeTtlMs;
    this.#store = store;
    this.#clock = clock;
  }

  async activate({ token, subject, expiresAtMs }: VerifiedToken): Promise<void> {
    const ttlMs = Math.min(this.activeTtlMs, this.#leftMs(expiresAtMs));
    if (ttlMs < 1) return;
    const data = { sub: subject, exp: Number.isFinite(expiresAtMs) ? expiresAtMs / 1000 : undefined };
    await this.#store.set(`token:${token}`, JSON.stringify(data), ttlMs);
  }

  async isActive({ token }: VerifiedToken): Promise<boolean> {
    return (await this.#store.get(`token:${token}`)) !== undefined;
  }

  /** Refused everywhere once this resolves. */
  async revoke({ token, digest, expiresAtMs }: VerifiedToken): Promise<void> {
    const ttlMs = Math.min(FOREVER_MS, Math.max(1, this.#leftMs(expiresAtMs)));
    await this.#store.set(`blacklist:${digest}`, '1', ttlMs);
    await this.#store.delete(`token:${token}`);
  }

  async isRevoked({ digest }: VerifiedToken): Promise<boolean> {
    return (await this.#store.get(`blacklist:${digest}`)) !== undefined;
  }

  #leftMs(expiresAtMs: number): number {
    return Math.ceil(expiresAtMs - this.#clock.now());
  }
}
