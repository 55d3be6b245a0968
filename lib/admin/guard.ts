import { createHash, timingSafeEqual } from 'node:crypto';
import type { RequestHandler } from 'express';
import { bearerToken } from '../auth/bearer.ts';
import { AdminTokenError } from './errors.ts';

export interface AdminGuardOptions {
  /** What a caller must send as `Authorization: Bearer <token>`. Not empty. */
  readonly token: string;
}

/**
 * Lets only those through who send the admin token; `AdminTokenError` goes to `next` for all others, whatever they
 * ask for. How long the comparison takes tells nothing of the token.
 */
export function adminGuard({ token }: Readonly<AdminGuardOptions>): RequestHandler {
  if (!token) throw new TypeError('adminGuard: token must not be empty');
  const expected = digestOf(token);

  return function adminGuardMiddleware(req, _res, next) {
    let given: string;
    try {
      given = bearerToken(req);
    } catch (cause) {
      next(new AdminTokenError('no admin token', { cause }));
      return;
    }
    if (timingSafeEqual(digestOf(given), expected)) next();
    else next(new AdminTokenError('not the admin token'));
  };
}

/** Of one length, whatever was given. */
function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
