import type { Request, RequestHandler, Response } from 'express';
import { exchangeOf, type Identity, nextWhileDue } from '../exchange/exchange.ts';
import { listener } from '../exchange/listener.ts';
import { pathOf } from '../exchange/path.ts';
import type { Authenticator } from './authenticator.ts';
import { bearerToken } from './bearer.ts';
import { TokenError, type TokenProblem } from './errors.ts';
import { watchForToken } from './issuance.ts';

export interface AuthOptions {
  readonly authenticator: Authenticator;
  /** Whole paths, POST only, that need no token and whose answers hand one out: login, registration. */
  readonly issuePaths?: readonly string[];
  /** Whole paths, POST only, that revoke the caller's token before they are forwarded: logout. */
  readonly revokePaths?: readonly string[];
  readonly onAccepted?: (identity: Identity) => void;
  readonly onRejected?: (problem: TokenProblem) => void;
  readonly onIssued?: () => void;
  /** A service handed out something that is not a valid token, or it could not be stored. */
  readonly onNotAdmitted?: (error: Error) => void;
}

/**
 * Lets requests with an accepted bearer token through, with who is calling in `exchange.identity`.
 *
 * Fails closed: no token, a token that cannot be checked, and a store that cannot say whether a token was
 * revoked all end the request. Paths are compared byte for byte with the request target's path, so no encoding
 * or suffix makes another path public.
 */
export function auth(options: Readonly<AuthOptions>): RequestHandler {
  const { authenticator } = options;
  const onAccepted = listener(options.onAccepted);
  const onRejected = listener(options.onRejected);
  const onIssued = listener(options.onIssued);
  const onNotAdmitted = listener(options.onNotAdmitted);
  const issues = new Set(options.issuePaths);
  const revokes = new Set(options.revokePaths);

  async function authenticate(req: Request, res: Response): Promise<void> {
    const verified = await authenticator.authenticate(bearerToken(req));
    if (isPostTo(revokes, req)) await authenticator.revoke(verified);
    exchangeOf(res).identity = verified;
    onAccepted(verified);
  }

  function watchIssued(res: Response): void {
    watchForToken(res, (token) => authenticator.admit(token).then(onIssued, onNotAdmitted));
  }

  return function authMiddleware(req, res, next) {
    if (isPostTo(issues, req)) {
      watchIssued(res);
      next();
      return;
    }
    const nextIfDue = nextWhileDue(res, next);
    authenticate(req, res).then(
      () => nextIfDue(),
      (error: unknown) => {
        if (error instanceof TokenError) onRejected(error.code);
        nextIfDue(error);
      },
    );
  };
}

function isPostTo(paths: ReadonlySet<string>, req: Request): boolean {
  return paths.size > 0 && req.method === 'POST' && paths.has(pathOf(req.originalUrl));
}
