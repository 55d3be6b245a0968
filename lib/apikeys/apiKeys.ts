import { type Clock, systemClock } from '../clock/clock.ts';
import { API_KEYS_GROUP as GROUP } from '../store/lasting.ts';
import type { StoreUnavailableError, TokenStore } from '../store/store.ts';
import { type ApiKeyError, apiKeyError } from './errors.ts';
import { IndexReader, type KeyEntry, type KeyIndex } from './keyIndex.ts';
import { keyIdOf, keyTextProblem } from './keyText.ts';
import { digestOfKey } from './record.ts';

// Made once: a flood of texts that are no keys must not cost an error each.
const WRONG = {
  form: apiKeyError('api_key_invalid', 'the API key does not have the form of one'),
  checksum: apiKeyError('api_key_invalid', 'the checksum of the API key is wrong: it was mistyped or cut'),
} as const;

export interface ApiKeysOptions {
  readonly store: TokenStore;
  readonly clock?: Clock;
  /** Called once for each record in the store that cannot be read. Its key is refused, and no other. */
  readonly onUnreadable?: ((problem: StoreUnavailableError) => void) | undefined;
}

/**
 * Which API keys are accepted, for all gateways on one store. There are at most 10,000 keys, so every gateway keeps the SHA-256
 * of all of them in memory for as long as the store says that they have not changed. So a key costs no question to the store,
 * and neither do unknown ones, however many somebody sends.
 *
 * Fails closed: while the store is away no key is accepted, whatever `AUTH_STORE_FAILURE` says of tokens. A token has a signature
 * that says something without the store; a key has nothing else.
 */
export class ApiKeys {
  readonly #store: TokenStore;
  readonly #clock: Clock;
  readonly #reader: IndexReader;

  constructor({ store, clock = systemClock, onUnreadable }: Readonly<ApiKeysOptions>) {
    this.#store = store;
    this.#reader = new IndexReader(onUnreadable);
    this.#clock = clock;
  }

  /**
   * Whose key this is. Rejects with `ApiKeyError`, or with `StoreUnavailableError` when the store does not reply or something
   * about this key cannot be read.
   */
  async authenticate(text: string): Promise<KeyEntry> {
    return this.authenticateNow(text) ?? this.#accepted(text, await this.index());
  }

  /** The same without waiting. Throws what `authenticate` rejects with; undefined when the store must be asked. */
  authenticateNow(text: string): KeyEntry | undefined {
    const problem = keyTextProblem(text);
    if (problem) throw WRONG[problem];
    const index = this.knownIndex();
    return index && this.#accepted(text, index);
  }

  /** Why a key that was accepted before is not any more. Undefined: it still is. */
  problemOf(digest: string, index: KeyIndex): ApiKeyError | StoreUnavailableError | undefined {
    return index.problemOf(digest, this.#clock.now());
  }

  /** All keys. Rejects with `StoreUnavailableError` when the store does not reply. */
  async index(): Promise<KeyIndex> {
    return this.#reader.indexOf(await this.#store.getGroup(GROUP));
  }

  /** The same if it is known without asking. */
  knownIndex(): KeyIndex | undefined {
    const known = this.#store.peekGroup(GROUP);
    // A group that was not read before is left to `index`: to parse all of it takes too long here.
    return known && this.#reader.known(known.value);
  }

  #accepted(text: string, index: KeyIndex): KeyEntry {
    const digest = digestOfKey(text);
    const entry = index.entryOf(digest);
    if (!entry) throw this.#unknown(keyIdOf(text), index);
    const problem = this.problemOf(digest, index);
    if (problem) throw problem;
    return entry;
  }

  /** The id is public, and the checksum says that all of the text was made as a key. */
  #unknown(id: string, index: KeyIndex): Error {
    return index.unreadable(id) ?? apiKeyError('api_key_invalid', `the API key ${id} is not known`);
  }
}
