import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { type AskingOptions, askingFor } from '../auth/asking.ts';
import { InsufficientScopeError } from '../auth/errors.ts';
import { type Requirement, requirementCheck } from '../auth/requirement.ts';
import { exchangeOf, nextWhileDue } from '../exchange/exchange.ts';
import { listener } from '../util/listener.ts';
import type { ApiKeys } from './apiKeys.ts';
import { ApiKeyError } from './errors.ts';
import type { KeyEntry } from './keyIndex.ts';
import type { ApiKeyReader } from './reading.ts';
import type { KeyIdentity } from './record.ts';
import type { KeysUnderWay } from './underWay.ts';

export interface ApiKeyAuthOptions extends AskingOptions {
  readonly keys: ApiKeys;
  readonly read: ApiKeyReader;
  /** Takes over where a request brings no key, or is not asked who it is of. */
  readonly otherwise: RequestHandler;
  /** What is refused with where a request must bring a key, and nothing else will do. Default: `otherwise` decides. */
  readonly missing?: Error | undefined;
  /** What every key must say. Default: nothing more than who it is of. */
  readonly requirement?: Requirement | undefined;
  readonly underWay?: KeysUnderWay | undefined;
  readonly onAccepted?: (identity: KeyIdentity) => void;
  /** Called for each refused key. The error's `code` is what the client is told, its `message` the exact reason. */
  readonly onRejected?: (error: ApiKeyError | InsufficientScopeError, res: Response) => void;
}

/**
 * Lets requests with an API key through that is accepted, and writes who is calling to `exchange.identity`. It fails closed as
 * `auth` does. A logout is about a token: a key does not help there, and is not revoked.
 */
export function apiKeyAuth(options: Readonly<ApiKeyAuthOptions>): RequestHandler {
  const { read, otherwise, missing } = options;
  const askingOf = askingFor(options);
  const judge = new KeyJudge(options);

  return function apiKeyAuthMiddleware(req: Request, res: Response, next: NextFunction) {
    const asking = askingOf(req, res);
    if (asking !== 'required' && asking !== 'optional') return otherwise(req, res, next);
    const found = read(req, exchangeOf(res));
    if (typeof found === 'string') return judge.judge(found, res, next);
    if (found !== undefined) return judge.reject(found, res, next);
    if (missing !== undefined && asking === 'required') return judge.reject(missing, res, next);
    return otherwise(req, res, next);
  };
}

/** Accepts or rejects requests by their keys. */
class KeyJudge {
  readonly #keys: ApiKeys;
  readonly #underWay: KeysUnderWay | undefined;
  readonly #lackOf: ReturnType<typeof requirementCheck> | undefined;
  readonly #onAccepted: NonNullable<ApiKeyAuthOptions['onAccepted']>;
  readonly #onRejected: NonNullable<ApiKeyAuthOptions['onRejected']>;

  constructor({ keys, underWay, requirement, onAccepted, onRejected }: ApiKeyAuthOptions) {
    this.#keys = keys;
    this.#underWay = underWay;
    this.#lackOf = requirement && requirementCheck(requirement, { holder: 'the API key', scheme: 'ApiKey' });
    this.#onAccepted = listener(onAccepted);
    this.#onRejected = listener(onRejected);
  }

  /** Goes to `next`, with an error where the key is not accepted: at once where the key is known. */
  judge(key: string, res: Response, next: NextFunction): void {
    let known: KeyEntry | undefined;
    try {
      known = this.#keys.authenticateNow(key);
      if (known) this.#accept(known, res);
    } catch (error) {
      this.reject(error, res, next);
      return;
    }
    if (known) next();
    else this.#ask(key, res, next);
  }

  reject(error: unknown, res: Response, next: (error: unknown) => void): void {
    if (error instanceof ApiKeyError || error instanceof InsufficientScopeError) this.#onRejected(error, res);
    next(error);
  }

  #ask(key: string, res: Response, next: NextFunction): void {
    const nextIfDue = nextWhileDue(res, next);
    this.#keys
      .authenticate(key)
      .then((entry) => this.#accept(entry, res))
      .then(
        () => nextIfDue(),
        (error: unknown) => this.reject(error, res, nextIfDue),
      );
  }

  #accept(entry: KeyEntry, res: Response): void {
    const lack = this.#lackOf?.(entry.identity);
    if (lack) throw lack;
    exchangeOf(res).identity = entry.identity;
    this.#underWay?.add(res, entry.digest);
    this.#onAccepted(entry.identity);
  }
}
