import type { Duplex } from 'node:stream';
import type { Request, RequestHandler, Response } from 'express';
import { systemClock } from '../clock/clock.ts';
import { exchangeOf, type Identity, nextWhileDue } from '../exchange/exchange.ts';
import { listener } from '../util/listener.ts';
import type { Authenticator } from './authenticator.ts';
import { readToken } from './bearer.ts';
import { TokenError } from './errors.ts';
import { type IssuanceOptions, watchForToken } from './issuance.ts';
import { issuingRequests } from './issuePaths.ts';
import { revokingRequests } from './revocation/revokePaths.ts';
import type { VerifiedToken } from './tokens/verifier.ts';

export interface AuthOptions extends IssuanceOptions {
  readonly authenticator: Authenticator;
  /** Whole paths, POST only, that need no token and whose responses hand one out: login, registration. */
  readonly issuePaths?: readonly string[];
  /**
   * Paths that revoke the caller's token before the request is forwarded: logout. They are matched leniently, see
   * `revokingRequests`.
   */
  readonly revokePaths?: readonly string[];
  readonly onAccepted?: (identity: Identity) => void;
  /** Called for each refused token. The error's `code` is what the client is told, its `message` the exact reason. */
  readonly onRejected?: (error: TokenError, res: Response) => void;
  readonly onIssued?: () => void;
  /** Called when a service has handed out something that is not a valid token, or a token that could not be stored. */
  readonly onNotAdmitted?: (error: Error) => void;
  /** Called when a request with this token has upgraded its connection, which from then on carries no HTTP. */
  readonly onUpgraded?: (connection: Duplex, token: VerifiedToken) => void;
}

/**
 * Lets requests with an accepted bearer token through and writes who is calling to `exchange.identity`. After the
 * `queryToken` middleware the token may also come from the query, see `readToken`.
 *
 * Fails closed: no token, a token that cannot be checked, and a store that cannot say whether a token was
 * revoked all end the request. Issue paths are compared byte for byte with the request target's path, so no
 * encoding or suffix makes another path public.
 */
export function auth(options: Readonly<AuthOptions>): RequestHandler {
  const { authenticator, clock = systemClock } = options;
  const onAccepted = listener(options.onAccepted);
  const onRejected = listener(options.onRejected);
  const onIssued = listener(options.onIssued);
  const onNotAdmitted = listener(options.onNotAdmitted);
  const onUpgraded = listener(options.onUpgraded);
  const isIssuing = issuingRequests(options.issuePaths);
  const isRevoking = revokingRequests(options.revokePaths);

  function accept(req: Request, res: Response, token: VerifiedToken): void {
    const exchange = exchangeOf(res);
    exchange.identity = token;
    if (exchange.upgradeHead) res.once('close', () => exchange.upgraded && onUpgraded(req.socket, token));
    onAccepted(token);
  }

  async function authenticate(token: string, req: Request, res: Response): Promise<void> {
    const verified = await authenticator.authenticate(token);
    if (revokes(req, res)) await authenticator.revoke(verified);
    accept(req, res, verified);
  }

  /** Whether the request is a logout. Decided once for each request; concurrency may have decided it before. */
  function revokes(req: Request, res: Response): boolean {
    const exchange = exchangeOf(res);
    exchange.revokes ??= isRevoking(req, req.originalUrl);
    return exchange.revokes;
  }

  /** The verified token, if that is known without waiting for anything. Throws `TokenError`. */
  function authenticateNow(token: string, req: Request, res: Response): VerifiedToken | undefined {
    return revokes(req, res) ? undefined : authenticator.authenticateNow(token);
  }

  function reject(error: unknown, res: Response, next: (error: unknown) => void): void {
    if (error instanceof TokenError) onRejected(error, res);
    next(error);
  }

  function watchIssued(res: Response): void {
    const askedAtMs = clock.now();
    const admit = (token: string) => authenticator.admit(token, askedAtMs).then(onIssued, onNotAdmitted);
    watchForToken(res, admit, options);
  }

  return function authMiddleware(req, res, next) {
    if (isIssuing(req)) {
      watchIssued(res);
      next();
      return;
    }
    const token = readToken(req, exchangeOf(res));
    if (typeof token !== 'string') {
      reject(token, res, next);
      return;
    }
    let known: VerifiedToken | undefined;
    try {
      known = authenticateNow(token, req, res);
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
  };
}
