import type { Duplex } from 'node:stream';
import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { systemClock } from '../clock/clock.ts';
import { exchangeOf, type Identity, nextWhileDue } from '../exchange/exchange.ts';
import { listener } from '../util/listener.ts';
import { type AskingOptions, askingFor } from './asking.ts';
import type { Authenticator } from './authenticator.ts';
import { InsufficientScopeError, TokenError } from './errors.ts';
import { type IssuanceOptions, watchForToken } from './issuance.ts';
import { type Requirement, requirementCheck } from './requirement.ts';
import { type TokenReadingOptions, tokenReading } from './sources/readToken.ts';
import type { VerifiedToken } from './tokens/verifier.ts';

export interface AuthOptions extends AskingOptions, IssuanceOptions, TokenReadingOptions {
  readonly authenticator: Authenticator;
  /** What every token must say. Default: nothing more than who it is about. */
  readonly requirement?: Requirement | undefined;
  readonly onAccepted?: (identity: Identity) => void;
  /** Called for each refused token. The error's `code` is what the client is told, its `message` the exact reason. */
  readonly onRejected?: (error: TokenError | InsufficientScopeError, res: Response) => void;
  readonly onIssued?: () => void;
  /** Called when a service has handed out something that is not a valid token, or a token that could not be stored. */
  readonly onNotAdmitted?: (error: Error) => void;
  /** Called when a request with this token has upgraded its connection, which from then on carries no HTTP. */
  readonly onUpgraded?: (connection: Duplex, token: VerifiedToken) => void;
}

/**
 * Lets requests with an accepted token through and writes who is calling to `exchange.identity`; where a token is looked for,
 * `tokenReading` says. Requests that need none and bring none pass as nobody's.
 *
 * Fails closed: no token, a token that cannot be checked or does not say what is asked for, and a store that cannot say
 * whether a token was revoked all end the request. Issue paths are compared byte for byte with the request target's path,
 * so no encoding or suffix makes another path public. A logout asks for its token whatever else holds.
 */
export function auth(options: Readonly<AuthOptions>): RequestHandler {
  const { authenticator, clock = systemClock } = options;
  const onAccepted = listener(options.onAccepted);
  const onRejected = listener(options.onRejected);
  const onIssued = listener(options.onIssued);
  const onNotAdmitted = listener(options.onNotAdmitted);
  const onUpgraded = listener(options.onUpgraded);
  const askingOf = askingFor(options);
  const { read, missing } = tokenReading(options);
  const lackOf = options.requirement && requirementCheck(options.requirement);

  /** Throws `InsufficientScopeError`. */
  function assertMeets(token: VerifiedToken): void {
    const lack = lackOf?.(token);
    if (lack) throw lack;
  }

  function accept(req: Request, res: Response, token: VerifiedToken): void {
    const exchange = exchangeOf(res);
    exchange.identity = token;
    if (exchange.upgradeHead) res.once('close', () => exchange.upgraded && onUpgraded(req.socket, token));
    onAccepted(token);
  }

  async function authenticate(token: string, req: Request, res: Response): Promise<void> {
    const verified = await authenticator.authenticate(token);
    assertMeets(verified);
    if (exchangeOf(res).revokes) await authenticator.revoke(verified);
    accept(req, res, verified);
  }

  /** The verified token, if that is known without waiting for anything. Throws `TokenError` and `InsufficientScopeError`. */
  function authenticateNow(token: string, res: Response): VerifiedToken | undefined {
    if (exchangeOf(res).revokes) return undefined;
    const known = authenticator.authenticateNow(token);
    if (known) assertMeets(known);
    return known;
  }

  function reject(error: unknown, res: Response, next: (error: unknown) => void): void {
    if (error instanceof TokenError || error instanceof InsufficientScopeError) onRejected(error, res);
    next(error);
  }

  function watchIssued(res: Response): void {
    const askedAtMs = clock.now();
    const admit = (token: string) => authenticator.admit(token, askedAtMs).then(onIssued, onNotAdmitted);
    watchForToken(res, admit, options);
  }

  /** Looks for a token and lets the request through with a good one. `asks`: not without one either. */
  function ask(asks: boolean, req: Request, res: Response, next: NextFunction): void {
    const token = read(req, exchangeOf(res));
    if (typeof token !== 'string') {
      if (token === undefined && !asks) next();
      else reject(token ?? missing, res, next);
      return;
    }
    let known: VerifiedToken | undefined;
    try {
      known = authenticateNow(token, res);
    } catch (error) {
      reject(error, res, next);
      return;
    }
    if (known) {
      accept(req, res, known);
      next();
      return;
    }
    const nextIfDue = nextWhileDue(res, next);
    authenticate(token, req, res).then(
      () => nextIfDue(),
      (error: unknown) => reject(error, res, nextIfDue),
    );
  }

  return function authMiddleware(req, res, next) {
    const asking = askingOf(req, res);
    if (asking === 'login') {
      watchIssued(res);
      next();
    } else if (asking === 'none') {
      next();
    } else {
      ask(asking !== 'optional', req, res, next);
    }
  };
}
