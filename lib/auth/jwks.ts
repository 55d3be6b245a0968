import { createLocalJWKSet, errors } from 'jose';
import { type Cancel, type Clock, systemClock } from '../clock/clock.ts';
import { listener } from '../exchange/listener.ts';
import { KeysUnavailableError, TokenError } from './errors.ts';
import type { FindKey } from './verifier.ts';

const REFRESH_MS = 5 * 60_000;
const FIRST_RETRY_MS = 1_000;
/** Also the time between two looks for keys that nobody knows: whoever invents them causes no more traffic. */
const LONGEST_RETRY_MS = 30_000;
const FETCH_TIMEOUT_MS = 2_000;

export interface JwksOptions {
  /** Where the keys are published, as a JSON Web Key Set (RFC 7517 section 5). */
  readonly url: string;
  /** Called when other keys are published than before: what was verified with the old ones is in doubt. */
  readonly onKeysChanged?: () => void;
  /** Told why the keys could not be fetched. */
  readonly onError?: (error: Error) => void;
  readonly clock?: Clock;
}

/**
 * The public keys of an issuer that publishes them, fetched at the start and every five minutes.
 *
 * A token that names an unknown key (`kid`) makes it look again, at most once in 30 s. While the URL is down the
 * last good keys serve on; until there were any, `find` rejects with `KeysUnavailableError`: fail closed.
 */
export class Jwks {
  readonly #url: string;
  readonly #onKeysChanged: () => void;
  readonly #onError: (error: Error) => void;
  readonly #clock: Clock;
  #findLocal: FindKey | undefined;
  /** The last good answer, as it came. */
  #published = '';
  #fetching: Promise<void> | undefined;
  /** Why the last fetch failed; undefined when it did not. */
  #failure: Error | undefined;
  #lookAgainAtTicks = Number.NEGATIVE_INFINITY;
  #retryMs = FIRST_RETRY_MS;
  #cancel: Cancel = () => {};
  #stopped = false;

  /** Begins to fetch, and goes on until `stop`. */
  constructor(options: Readonly<JwksOptions>) {
    this.#url = options.url;
    this.#onKeysChanged = listener(options.onKeysChanged);
    this.#onError = listener(options.onError);
    this.#clock = options.clock ?? systemClock;
    this.#fetch();
  }

  readonly find: FindKey = async (header, token) => {
    if (!this.#findLocal) await this.#fetching;
    const key = await this.#known(header, token);
    if (key) return key;
    await this.#lookAgain();
    const late = await this.#known(header, token);
    if (late) return late;
    if (this.#failure) throw new KeysUnavailableError('the keys cannot be fetched', { cause: this.#failure });
    throw new TokenError('token_invalid', 'no published key goes with the token');
  };

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  async #known(...token: Parameters<FindKey>): Promise<Awaited<ReturnType<FindKey>> | undefined> {
    try {
      return await this.#findLocal?.(...token);
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey) return undefined;
      throw error;
    }
  }

  /** Fetches for a key that nobody knows. Without any keys the retries do, and nobody waits for them. */
  async #lookAgain(): Promise<void> {
    if (this.#findLocal && this.#clock.ticks() >= this.#lookAgainAtTicks) {
      this.#lookAgainAtTicks = this.#clock.ticks() + LONGEST_RETRY_MS;
      this.#fetch();
    }
    if (this.#findLocal) await this.#fetching;
  }

  /** One fetch at a time; it never rejects. */
  #fetch(): void {
    this.#cancel();
    this.#fetching ??= this.#download()
      .then(
        (published) => this.#succeed(published),
        (error: Error) => this.#fail(error),
      )
      .finally(() => {
        this.#fetching = undefined;
      });
  }

  async #download(): Promise<string> {
    const signal = AbortSignal.timeout(FETCH_TIMEOUT_MS);
    const answer = await fetch(this.#url, { signal, headers: { Accept: 'application/json' } });
    if (answer.status === 200) return answer.text();
    throw new Error(`status ${answer.status}`);
  }

  #succeed(published: string): void {
    try {
      if (published !== this.#published) this.#take(published);
      this.#failure = undefined;
      this.#retryMs = FIRST_RETRY_MS;
      this.#fetchAfter(REFRESH_MS);
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #take(published: string): void {
    const keySet = JSON.parse(published);
    const find = createLocalJWKSet(keySet);
    if (keySet.keys.length === 0) throw new Error('the key set is empty');
    const isFirst = this.#findLocal === undefined;
    this.#findLocal = find;
    this.#published = published;
    if (!isFirst) this.#onKeysChanged();
  }

  #fail(error: Error): void {
    this.#failure = error;
    this.#onError(new Error(`The keys at ${this.#url} cannot be fetched`, { cause: error }));
    this.#fetchAfter(this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, LONGEST_RETRY_MS);
  }

  #fetchAfter(delayMs: number): void {
    if (!this.#stopped) this.#cancel = this.#clock.after(delayMs, () => this.#fetch());
  }
}
