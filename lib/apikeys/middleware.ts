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
  const { keys, read, otherwise, missing, underWay } = options;
  const onAccepted = listener(options.onAccepted);
  const onRejected = listener(options.onRejected);
  const askingOf = askingFor(options);
  const lackOf =
    options.requirement && requirementCheck(options.requirement, { holder: 'the API key', scheme: 'ApiKey' });

  function accept(entry: KeyEntry, res: Response): void {
    const lack = lackOf?.(entry.identity);
    if (lack) throw lack;
    exchangeOf(res).identity = entry.identity;
    underWay?.add(res, entry.digest);
    onAccepted(entry.identity);
  }

  function reject(error: unknown, res: Response, next: (error: unknown) => void): void {
    if (error instanceof ApiKeyError || error instanceof InsufficientScopeError) onRejected(error, res);
    next(error);
  }

  function ask(key: string, res: Response, next: NextFunction): void {
    let known: KeyEntry | undefined;
    try {
      known = keys.authenticateNow(key);
      if (known) accept(known, res);
    } catch (error) {
      reject(error, res, next);
      return;
    }
    if (known) {
      next();
      return;
    }
    const nextIfDue = nextWhileDue(res, next);
    keys
      .authenticate(key)
      .then((entry) => accept(entry, res))
      .then(
        () => nextIfDue(),
        (error: unknown) => reject(error, res, nextIfDue),
      );
  }

  return function apiKeyAuthMiddleware(req: Request, res: Response, next: NextFunction) {
    const asking = askingOf(req, res);
    if (asking !== 'required' && asking !== 'optional') return otherwise(req, res, next);
    const found = read(req, exchangeOf(res));
    if (typeof found === 'string') return ask(found, res, next);
    if (found !== undefined) return reject(found, res, next);
    if (missing !== undefined && asking === 'required') return reject(missing, res, next);
    return otherwise(req, res, next);
  };
}
