import { CautiousTime } from '../../clock/cautiousTime.ts';
import { type Clock, systemClock } from '../../clock/clock.ts';
import { LASTING_PREFIX } from '../../store/lasting.ts';
import type { TokenStore } from '../../store/store.ts';
import { END_OF_TIME_MS } from '../tokens/claimChecks.ts';
import type { VerifiedToken } from '../tokens/verifier.ts';
import { CLOCK_ERROR_MS, type CoveredBy, type Revocations } from './revocations.ts';

/** Why an otherwise valid token is refused. */
export type RevokedBy = 'logout' | CoveredBy;

export interface TokenRegistryOptions {
  readonly store: TokenStore;
  /** Revocations by operators. */
  readonly revocations: Revocations;
  /** How long a token counts as active after it was issued or last seen. */
  readonly activeTtlMs: number;
  readonly clock?: Clock;
}

/**
 * Which tokens are active and which are revoked, shared by all gateways on one store.
 *
 * Keys: `token:<jwt>` has the active token's data as JSON. `blacklist:<sha256 of the jwt>` marks a token that was logged
 * out; it is kept until a day after the token has expired, and for ever when it never expires. The methods `known...`
 * return what is known without asking the store, or undefined. Every other method rejects with `StoreUnavailableError`
 * when the store does not reply.
 */
export class TokenRegistry {
  readonly activeTtlMs: number;
  readonly #store: TokenStore;
  readonly #revocations: Revocations;
  readonly #clock: Clock;
  readonly #time: CautiousTime;

  constructor(options: Readonly<TokenRegistryOptions>) {
    this.activeTtlMs = options.activeTtlMs;
    this.#store = options.store;
    this.#revocations = options.revocations;
    this.#clock = options.clock ?? systemClock;
    this.#time = new CautiousTime(this.#clock);
  }

  async activate({ token, subject, expiresAtMs, acceptedUntilMs }: VerifiedToken): Promise<void> {
    const ttlMs = Math.min(this.activeTtlMs, this.#leftMs(acceptedUntilMs));
    if (ttlMs < 1) return;
    const data = { sub: subject, exp: Number.isFinite(expiresAtMs) ? expiresAtMs / 1000 : undefined };
    await this.#store.set(activeKey(token), JSON.stringify(data), ttlMs);
  }

  knownActive({ token }: VerifiedToken): boolean | undefined {
    const known = this.#store.peek(activeKey(token));
    return known && known.value !== undefined;
  }

  async isActive({ token }: VerifiedToken): Promise<boolean> {
    return (await this.#store.get(activeKey(token))) !== undefined;
  }

  /** Once this resolves every gateway refuses the token. */
  async revoke(verified: VerifiedToken): Promise<void> {
    const { token, acceptedUntilMs } = verified;
    const leftMs = this.#mostLeftMs(Math.min(acceptedUntilMs, END_OF_TIME_MS));
    const ttlMs = Math.max(1, leftMs) + CLOCK_ERROR_MS;
    // The mark comes first: it is what refuses the token. If storing it fails, the logout fails and can be repeated.
    await this.#store.set(logoutKeyOf(verified), '1', ttlMs, { lasts: true });
    await this.#store.delete(activeKey(token));
  }

  /** How the token was revoked, or false. @param logoutKey its `logoutKeyOf`, for callers who have it at hand */
  knownRevoked(token: VerifiedToken, logoutKey = logoutKeyOf(token)): RevokedBy | false | undefined {
    const loggedOut = this.#store.peek(logoutKey);
    if (loggedOut?.value !== undefined) return 'logout';
    return loggedOut && this.#revocations.knownCover(token);
  }

  async revokedBy(token: VerifiedToken): Promise<RevokedBy | false> {
    const [loggedOut, cover] = await Promise.all([
      this.#store.get(logoutKeyOf(token)),
      this.#revocations.coverOf(token),
    ]);
    return loggedOut === undefined ? cover : 'logout';
  }

  #leftMs(untilMs: number): number {
    return Math.ceil(untilMs - this.#clock.now());
  }

  /** The same by the earliest time it may be: a revocation must not end early because the clock has jumped ahead. */
  #mostLeftMs(untilMs: number): number {
    return Math.ceil(untilMs - this.#time.earliestMs());
  }
}

function activeKey(token: string): string {
  return `token:${token}`;
}

/** What marks the token as logged out, in the store. */
export function logoutKeyOf({ digest }: VerifiedToken): string {
  return LASTING_PREFIX + digest;
}
