import type { Duplex } from 'node:stream';
import type { Request, RequestHandler, Response } from 'express';
import { exchangeOf, type Identity, nextWhileDue } from '../exchange/exchange.ts';
import { listener } from '../exchange/listener.ts';
import { pathOf } from '../exchange/path.ts';
import type { Authenticator } from './authenticator.ts';
import { readBearer } from './bearer.ts';
import { TokenError, type TokenProblem } from './errors.ts';
import { type IssuanceOptions, watchForToken } from './issuance.ts';
import type { VerifiedToken } from './verifier.ts';

/** Methods that ask for nothing to be done (RFC 9110 section 9.2.1). */
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

export interface AuthOptions extends IssuanceOptions {
  readonly authenticator: Authenticator;
  /** Whole paths, POST only, that need no token and whose answers hand one out: login, registration. */
  readonly issuePaths?: readonly string[];
  /**
   * Paths that revoke the caller's token before they are forwarded: logout. Read as a service might: any method
   * that is not safe, in any case, with slashes too many, path parameters or percent-encoding.
   */
  readonly revokePaths?: readonly string[];
  readonly onAccepted?: (identity: Identity) => void;
  readonly onRejected?: (problem: TokenProblem) => void;
  readonly onIssued?: () => void;
  /** A service handed out something that is not a valid token, or it could not be stored. */
  readonly onNotAdmitted?: (error: Error) => void;
  /** A connection left HTTP, opened with this token. */
  readonly onUpgraded?: (connection: Duplex, token: VerifiedToken) => void;
}

/**
 * Lets requests with an accepted bearer token through, with who is calling in `exchange.identity`.
 *
 * Fails closed: no token, a token that cannot be checked, and a store that cannot say whether a token was
 * revoked all end the request. Issue paths are compared byte for byte with the request target's path, so no
 * encoding or suffix makes another path public.
 */
export function auth(options: Readonly<AuthOptions>): RequestHandler {
  const { authenticator } = options;
  const onAccepted = listener(options.onAccepted);
  const onRejected = listener(options.onRejected);
  const onIssued = listener(options.onIssued);
  const onNotAdmitted = listener(options.onNotAdmitted);
  const onUpgraded = listener(options.onUpgraded);
  const issues = new Set(options.issuePaths);
  const revokes = new Set(options.revokePaths?.map(asServicesRead));

  function accept(req: Request, res: Response, token: VerifiedToken): void {
    const exchange = exchangeOf(res);
    exchange.identity = token;
    if (exchange.upgradeHead) res.once('close', () => exchange.upgraded && onUpgraded(req.socket, token));
    onAccepted(token);
  }

  async function authenticate(token: string, req: Request, res: Response): Promise<void> {
    const verified = await authenticator.authenticate(token);
    if (isRevoking(revokes, req)) await authenticator.revoke(verified);
    accept(req, res, verified);
  }

  /** Who is calling with a token that needs no waiting for anything. Throws `TokenError`. */
  function authenticateNow(token: string, req: Request): VerifiedToken | undefined {
    return isRevoking(revokes, req) ? undefined : authenticator.authenticateNow(token);
  }

  function reject(error: unknown, next: (error: unknown) => void): void {
    if (error instanceof TokenError) onRejected(error.code);
    next(error);
  }

  function watchIssued(res: Response): void {
    watchForToken(res, (token) => authenticator.admit(token).then(onIssued, onNotAdmitted), options);
  }

  return function authMiddleware(req, res, next) {
    if (isIssuing(issues, req)) {
      watchIssued(res);
      next();
      return;
    }
    const token = readBearer(req);
    if (typeof token !== 'string') {
      reject(token, next);
      return;
    }
    let known: VerifiedToken | undefined;
    try {
      known = authenticateNow(token, req);
    } catch (error) {
      reject(error, next);
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
      (error: unknown) => reject(error, nextIfDue),
    );
  };
}

function isIssuing(paths: ReadonlySet<string>, req: Request): boolean {
  return paths.size > 0 && req.method === 'POST' && paths.has(pathOf(req.originalUrl));
}

function isRevoking(paths: ReadonlySet<string>, req: Request): boolean {
  if (paths.size === 0 || SAFE_METHODS.has(req.method)) return false;
  return paths.has(asServicesRead(pathOf(req.originalUrl)));
}

/** A path as some service or other takes it: Express knows no case, Java no parameters, nginx merges slashes. */
function asServicesRead(path: string): string {
  const lower = decoded(path).toLowerCase();
  const isPlain = !lower.includes('//') && !lower.includes(';');
  const plain = isPlain ? lower : lower.replace(/;[^/]*/g, '').replace(/\/{2,}/g, '/');
  return plain.endsWith('/') ? plain.slice(0, -1) : plain;
}

function decoded(path: string): string {
  if (!path.includes('%')) return path;
  try {
    return decodeURIComponent(path);
  } catch {
    // No encoding of any path.
    return path;
  }
}
