import { LRUCache } from 'lru-cache';
import { type Clock, systemClock } from '../clock/clock.ts';
import { StoreUnavailableError } from '../store/store.ts';
import { listener } from '../util/listener.ts';
import { tokenError } from './errors.ts';
import { logoutKeyOf, type RevokedBy, type TokenRegistry } from './revocation/tokenRegistry.ts';
import { invalid } from './tokens/claims.ts';
import type { VerifiedToken, Verify } from './tokens/verifier.ts';

const DEFAULT_REMEMBERED_BYTES = 32 * 1024 * 1024;
/** Memory for a remembered token besides its text: 800 bytes measured, rounded up. */
const ENTRY_OVERHEAD_BYTES = 1024;
/** How long to wait before the next try after the store has failed to renew a token. */
const RENEW_AGAIN_MS = 1_000;

// Made once: a flood of requests with a revoked token must not cost an error each.
const REVOKED = {
  logout: tokenError('token_revoked', 'the token was logged out'),
  token: tokenError('token_revoked', 'the token was revoked by an operator, by itself'),
  jti: tokenError('token_revoked', 'the token was revoked by an operator, by its jti'),
  subject: tokenError('token_revoked', 'the token was revoked by an operator, by its subject'),
} as const satisfies Record<RevokedBy, Error>;
const INACTIVE = tokenError('token_revoked', 'the token is not known as active, or no longer');

export interface AuthenticatorOptions {
  readonly verify: Verify;
  readonly registry: TokenRegistry;
  /** Refuses valid tokens that are not in the store. Default false: they are accepted and stored. */
  readonly requireActive?: boolean;
  /**
   * What to do while the store fails, when nobody knows what was revoked: `refuse` every token (the default: it fails
   * closed), or `allow` tokens with a good signature.
   */
  readonly onStoreFailure?: 'refuse' | 'allow';
  /** By how much an issuer's clock may be behind, in milliseconds. Default 0. */
  readonly clockToleranceMs?: number;
  /** Called for store errors that did not change the decision. */
  readonly onStoreError?: (error: Error) => void;
  /** Memory for verified tokens, in bytes. Default 32 MiB. */
  readonly maxRememberedBytes?: number;
  readonly clock?: Clock;
}

interface Remembered {
  readonly verified: VerifiedToken;
  /** What a logout of it is stored under: to spell it for each request would take longer than to look it up. */
  readonly logoutKey: string;
  renewAtTicks: number;
}

/**
 * Decides whether a token is accepted now. It knows nothing of HTTP.
 *
 * The signature of a token seen before is not verified again until it expires or leaves the bounded memory.
 * Whether it was revoked is looked up each time, in this process's memory as long as the store says that it is current.
 */
export class Authenticator {
  readonly #verify: Verify;
  readonly #registry: TokenRegistry;
  readonly #requireActive: boolean;
  readonly #allowOnStoreFailure: boolean;
  readonly #onStoreError: (error: Error) => void;
  readonly #clockToleranceMs: number;
  readonly #clock: Clock;
  readonly #remembered: LRUCache<string, Remembered>;

  constructor(options: Readonly<AuthenticatorOptions>) {
    this.#verify = options.verify;
    this.#remembered = new LRUCache({
      maxSize: options.maxRememberedBytes ?? DEFAULT_REMEMBERED_BYTES,
      sizeCalculation: bytesOf,
    });
    this.#registry = options.registry;
    this.#requireActive = options.requireActive ?? false;
    this.#allowOnStoreFailure = options.onStoreFailure === 'allow';
    this.#onStoreError = listener(options.onStoreError);
    this.#clockToleranceMs = options.clockToleranceMs ?? 0;
    this.#clock = options.clock ?? systemClock;
  }

  /** Rejects with `TokenError`, or with `StoreUnavailableError` when the store fails and failures refuse. */
  async authenticate(token: string): Promise<VerifiedToken> {
    const known = this.authenticateNow(token);
    if (known) return known;
    const remembered = this.#recall(token) ?? this.#remember(await this.#verify(token));
    try {
      await this.#checkStore(remembered.verified);
    } catch (error) {
      if (!(error instanceof StoreUnavailableError && this.#allowOnStoreFailure)) throw error;
      this.#onStoreError(error);
      return remembered.verified;
    }
    return this.#accept(remembered);
  }

  /** The same without waiting. Undefined when the store must be asked or the signature verified first. */
  authenticateNow(token: string): VerifiedToken | undefined {
    const remembered = this.#recall(token);
    if (!remembered) return undefined;
    const revoked = this.#registry.knownRevoked(remembered.verified, remembered.logoutKey);
    if (revoked) throw REVOKED[revoked];
    const isKnown =
      revoked === false && (!this.#requireActive || this.#registry.knownActive(remembered.verified));
    return isKnown ? this.#accept(remembered) : undefined;
  }

  /**
   * Stores a token as active that a service has just issued, in its response to a request of `askedAtMs`. So it is known
   * before its owner can use it. Rejects when the token is not valid or was revoked. Where tokens must be active, it also
   * rejects a token that was issued before the request: a service may echo what it was sent, and no request may bring back
   * a token that is not active any more. `iat` is in whole seconds, and the issuer's clock may be behind by the tolerance.
   */
  async admit(token: string, askedAtMs: number): Promise<void> {
    const verified = await this.#verify(token);
    if (this.#requireActive) this.#assertNew(verified, askedAtMs);
    await this.#checkRevoked(verified);
    await this.#registry.activate(verified);
    this.#remember(verified, this.#clock.ticks() + this.#renewEveryMs);
  }

  /** Once this resolves every gateway refuses the token. Rejects when the revocation could not be stored. */
  async revoke(verified: VerifiedToken): Promise<void> {
    await this.#registry.revoke(verified);
    this.#remembered.delete(verified.token);
  }

  /** To be called when other keys are in force: every signature must be verified again. */
  forgetVerified(): void {
    this.#remembered.clear();
  }

  #assertNew({ issuedAtMs }: VerifiedToken, askedAtMs: number): void {
    if (issuedAtMs === undefined) throw invalid('the token has no iat, so it may be an old one');
    const earliestMs = Math.floor(askedAtMs / 1000) * 1000 - this.#clockToleranceMs;
    if (issuedAtMs >= earliestMs) return;
    throw invalid(`the token is not new: its iat is ${(askedAtMs - issuedAtMs) / 1000} s before the request`);
  }

  #recall(token: string): Remembered | undefined {
    const known = this.#remembered.get(token);
    if (!known || known.verified.acceptedUntilMs > this.#clock.now()) return known;
    this.#remembered.delete(token);
    return undefined;
  }

  #remember(verified: VerifiedToken, renewAtTicks = Number.NEGATIVE_INFINITY): Remembered {
    const remembered = { verified, logoutKey: logoutKeyOf(verified), renewAtTicks };
    this.#remembered.set(verified.token, remembered);
    return remembered;
  }

  async #checkStore(verified: VerifiedToken): Promise<void> {
    await this.#checkRevoked(verified);
    if (this.#requireActive && !(await this.#registry.isActive(verified))) throw INACTIVE;
  }

  async #checkRevoked(verified: VerifiedToken): Promise<void> {
    const revoked = await this.#registry.revokedBy(verified);
    if (revoked) throw REVOKED[revoked];
  }

  /** Renews the token's active entry at half its life, in the background: the request is accepted already. */
  #accept(remembered: Remembered): VerifiedToken {
    const ticks = this.#clock.ticks();
    if (ticks >= remembered.renewAtTicks) {
      remembered.renewAtTicks = ticks + this.#renewEveryMs;
      this.#registry.activate(remembered.verified).catch((error: Error) => {
        remembered.renewAtTicks = ticks + RENEW_AGAIN_MS;
        this.#onStoreError(error);
      });
    }
    return remembered.verified;
  }

  get #renewEveryMs(): number {
    return this.#registry.activeTtlMs / 2;
  }
}

/** An estimate of the memory an entry takes. Text other than Latin-1 takes two bytes a character. */
function bytesOf({ verified }: Remembered, token: string): number {
  const { subject, key, names, jti = '' } = verified;
  const lengths = names.reduce((sum, name) => sum + name.length, subject.length + key.length + jti.length);
  return ENTRY_OVERHEAD_BYTES + token.length + 2 * lengths;
}
