import type { AxiosRequestConfig } from 'axios';
import { type CryptoKey, createLocalJWKSet, errors, type JWSHeaderParameters } from 'jose';
import { type Cancel, type Clock, systemClock } from '../../clock/clock.ts';
import { listener } from '../../util/listener.ts';
import { KeysUnavailableError } from '../errors.ts';
import { excerpt, invalid } from './claims.ts';
import { type FindKeys, type KeyHints, MAX_KEYS_TRIED } from './findKeys.ts';

const REFRESH_MS = 5 * 60_000;
const FIRST_RETRY_MS = 1_000;
/** Also the time between two fetches because of unknown keys, so that made-up key names cause no more traffic. */
const LONGEST_RETRY_MS = 30_000;
const FETCH_TIMEOUT_MS = 2_000;
/** One more than are tried, so that the log can say that there were too many. */
const MAX_KEYS_FOUND = MAX_KEYS_TRIED + 1;

/** A key set takes a few KiB. */
const MAX_RESPONSE_BYTES = 1024 * 1024;
const REQUEST: AxiosRequestConfig = {
  // The content is compared with the last one as text.
  transformResponse: [],
  validateStatus: () => true,
  maxContentLength: MAX_RESPONSE_BYTES,
  // HTTP_PROXY must not lead the request elsewhere.
  proxy: false,
};

export interface JwksOptions {
  /** Where the keys are published, as a JSON Web Key Set (RFC 7517 section 5). */
  readonly url: string;
  /** Called when the published keys have changed: tokens verified with the old keys must be verified again. */
  readonly onKeysChanged?: () => void;
  /** Called with the reason when the keys could not be fetched. */
  readonly onError?: (error: Error) => void;
  readonly clock?: Clock;
}

/**
 * The public keys of an issuer that publishes them, fetched at the start and every five minutes.
 *
 * When several keys fit a token, because it names none or because they share a name, all of them are found. A token with an
 * unknown key name (`kid`) causes another fetch, at most once in 30 s. While the URL is down the last good keys stay in use.
 * Until the first keys were fetched, `find` rejects with `KeysUnavailableError`: it fails closed.
 */
export class Jwks {
  readonly #url: string;
  readonly #onKeysChanged: () => void;
  readonly #onError: (error: Error) => void;
  readonly #clock: Clock;
  #local: ReturnType<typeof createLocalJWKSet> | undefined;
  /** The text of the last good response. */
  #published = '';
  #fetching: Promise<void> | undefined;
  /** Why the last fetch failed; undefined when it succeeded. */
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

  readonly find: FindKeys = async (hints) => {
    if (!this.#local) await this.#fetching;
    const keys = await this.#known(hints);
    if (keys.length > 0) return keys;
    await this.#lookAgain();
    const late = await this.#known(hints);
    if (late.length > 0) return late;
    const cause = this.#failure;
    if (cause) throw new KeysUnavailableError(`the keys cannot be fetched: ${cause.message}`, { cause });
    throw invalid(`no published key goes with the token: ${named(hints)}`);
  };

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  /** Every key that fits by `kty`, `kid`, `alg`, `use` and `key_ops`, as jose decides. */
  async #known(hints: KeyHints): Promise<readonly CryptoKey[]> {
    if (!this.#local) return [];
    try {
      return [await this.#local(hints as JWSHeaderParameters & KeyHints)];
    } catch (error) {
      if (error instanceof errors.JWKSMultipleMatchingKeys) return firstOf(error, MAX_KEYS_FOUND);
      if (error instanceof errors.JWKSNoMatchingKey) return [];
      throw invalid('the published key that goes with the token cannot be used', { cause: error });
    }
  }

  /**
   * Fetches because of an unknown key. Until there are any keys this is left to the retries, for which no request
   * waits.
   */
  async #lookAgain(): Promise<void> {
    if (this.#local && this.#clock.ticks() >= this.#lookAgainAtTicks) {
      this.#lookAgainAtTicks = this.#clock.ticks() + LONGEST_RETRY_MS;
      this.#fetch();
    }
    if (this.#local) await this.#fetching;
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
    // Loaded with the first fetch, because most gateways verify with a secret.
    const { default: axios } = await import('axios');
    const signal = AbortSignal.timeout(FETCH_TIMEOUT_MS);
    const response = await axios
      .get<string>(this.#url, { ...REQUEST, signal, headers: { Accept: 'application/json' } })
      .catch((error) => Promise.reject(signal.aborted ? signal.reason : new Error(wordsFor(error))));
    if (response.status === 200) return response.data;
    throw new Error(`status ${response.status}`);
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
    const isFirst = this.#local === undefined;
    this.#local = find;
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

async function firstOf<T>(items: AsyncIterable<T>, count: number): Promise<readonly T[]> {
  const first: T[] = [];
  for await (const item of items) {
    first.push(item);
    if (first.length === count) break;
  }
  return first;
}

/** In words alone: what axios threw holds the whole request. A refused `localhost` has a code and no message. */
function wordsFor({ message, code }: NodeJS.ErrnoException): string {
  return message || String(code);
}

function named({ alg, kid }: KeyHints): string {
  return `alg ${alg}, ${kid === undefined ? 'no kid' : `kid ${JSON.stringify(excerpt(kid))}`}`;
}
