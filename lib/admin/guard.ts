import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { RequestHandler } from 'express';
import { bearerToken } from '../auth/sources/bearer.ts';
import { type Clock, systemClock } from '../clock/clock.ts';
import { AdminGuessesError, AdminTokenError } from './errors.ts';
import { Guesses } from './guesses.ts';

export interface AdminGuardOptions {
  /** What a caller must send as `Authorization: Bearer <token>`. Not empty. */
  readonly token: string;
  /** Where a request comes from, to slow down those who guess. Default: its peer. */
  readonly addressOf?: (req: IncomingMessage) => string;
  readonly clock?: Pick<Clock, 'ticks'>;
}

/**
 * Lets only those through who send the admin token; `AdminTokenError` goes to `next` for all others, whatever they
 * ask for. How long the comparison takes tells nothing of the token. Who has sent several wrong ones gets
 * `AdminGuessesError`, with the right one as well, until some time has passed (`Guesses`).
 */
export function adminGuard({
  token,
  addressOf = ({ socket }) => socket.remoteAddress ?? 'unknown',
  clock = systemClock,
}: Readonly<AdminGuardOptions>): RequestHandler {
  if (!token) throw new TypeError('adminGuard: token must not be empty');
  const expected = digestOf(token);
  const guesses = new Guesses({ clock });

  return function adminGuardMiddleware(req, _res, next) {
    let given: string;
    try {
      given = bearerToken(req);
    } catch (cause) {
      // That is no guess.
      next(new AdminTokenError('no admin token', { cause }));
      return;
    }
    const address = addressOf(req);
    const waitMs = guesses.waitMs(address);
    if (waitMs > 0) return next(new AdminGuessesError(waitMs));
    if (timingSafeEqual(digestOf(given), expected)) {
      guesses.right(address);
      return next();
    }
    guesses.wrong(address);
    next(new AdminTokenError('not the admin token'));
  };
}

/** Of one length, whatever was given. */
function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
