import { LRUCache } from 'lru-cache';
import { type Clock, systemClock } from '../clock/clock.ts';
import { listener } from '../exchange/listener.ts';
import { StoreUnavailableError } from '../store/store.ts';
import { TokenError } from './errors.ts';
import type { TokenRegistry } from './tokenRegistry.ts';
import type { VerifiedToken, Verify } from './verifier.ts';

const REMEMBERED_TOKENS = 10_000;

export interface AuthenticatorOptions {
  readonly verify: Verify;
  readonly registry: TokenRegistry;
  /** Refuses valid tokens that are not in the store. Default false: they are accepted and stored. */
  readonly requireActive?: boolean;
  /** Without the store nobody knows what was revoked: `refuse` (default, fail closed) or accept a good signature. */
  readonly onStoreFailure?: 'refuse' | 'allow';
  /** Told of store errors that did not change the verdict. */
  readonly onStoreError?: (error: Error) => void;
  readonly clock?: Clock;
}

interface Remembered {
  readonly verified: VerifiedToken;
  activatedAtMs: number;
}

/**
 * Decides whether a token is accepted now. Knows no HTTP.
 *
 * The signature of a token seen before is not verified again until it expires or leaves the bounded memory;
 * whether it was revoked is asked of the store every time.
 */
export class Authenticator {
  readonly #verify: Verify;
  readonly #registry: TokenRegistry;
  readonly #requireActive: boolean;
  readonly #allowOnStoreFailure: boolean;
  readonly #onStoreError: (error: Error) => void;
  readonly #clock: Clock;
  readonly #remembered = new LRUCache<string, Remembered>({ max: REMEMBERED_TOKENS });

  constructor(options: Readonly<AuthenticatorOptions>) {
    this.#verify = options.verify;
    this.#registry = options.registry;
    this.#requireActive = options.requireActive ?? false;
    this.#allowOnStoreFailure = options.onStoreFailure === 'allow';
    this.#onStoreError = listener(options.onStoreError);
    this.#clock = options.clock ?? systemClock;
  }

  /** Rejects with `TokenError`, or with `StoreUnavailableError` when the store fails and failures refuse. */
  async authenticate(token: string): Promise<VerifiedToken> {
    const remembered = this.#recall(token);
    try {
      await this.#checkStore(remembered.verified);
    } catch (error) {
      if (!(error instanceof StoreUnavailableError && this.#allowOnStoreFailure)) throw error;
      this.#onStoreError(error);
      return remembered.verified;
    }
    this.#keepActive(remembered);
    return remembered.verified;
  }

  /** A token a service has just issued: known as active before its owner can use it. */
  async admit(token: string): Promise<void> {
    const verified = this.#verify(token);
    await this.#registry.activate(verified);
    this.#remembered.set(token, { verified, activatedAtMs: this.#clock.now() });
  }

  /** Refused on every gateway once this resolves; rejects when that could not be stored. */
  async revoke(verified: VerifiedToken): Promise<void> {
    await this.#registry.revoke(verified);
    this.#remembered.delete(verified.token);
  }

  #recall(token: string): Remembered {
    const known = this.#remembered.get(token);
    if (known) {
      if (known.verified.expiresAtMs > this.#clock.now()) return known;
      this.#remembered.delete(token);
    }
    const fresh = { verified: this.#verify(token), activatedAtMs: 0 };
    this.#remembered.set(token, fresh);
    return fresh;
  }

  async #checkStore(verified: VerifiedToken): Promise<void> {
    if (await this.#registry.isRevoked(verified))
      throw new TokenError('token_revoked', 'the token was revoked');
    if (this.#requireActive && !(await this.#registry.isActive(verified))) {
      throw new TokenError('token_revoked', 'the token is not active any more');
    }
  }

  /** Renews the active entry at half its life. Nobody waits for it: the request is accepted already. */
  #keepActive(remembered: Remembered): void {
    const nowMs = this.#clock.now();
    if (nowMs - remembered.activatedAtMs < this.#registry.activeTtlMs / 2) return;
    remembered.activatedAtMs = nowMs;
    this.#registry.activate(remembered.verified).catch((error: Error) => {
      remembered.activatedAtMs = 0;
      this.#onStoreError(error);
    });
  }
}
