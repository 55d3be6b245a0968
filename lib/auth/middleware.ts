import type { RequestHandler, Response } from 'express';
import { systemClock } from '../clock/clock.ts';
import { listener } from '../util/listener.ts';
import { type AskingOptions, askingFor } from './asking.ts';
import { type IssuanceOptions, watchForToken } from './issuance.ts';
import { TokenCheck, type TokenCheckOptions } from './tokenCheck.ts';

export interface AuthOptions extends AskingOptions, IssuanceOptions, TokenCheckOptions {
  readonly onIssued?: () => void;
  /** Called when a service has handed out something that is not a valid token, or a token that could not be stored. */
  readonly onNotAdmitted?: (error: Error) => void;
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
  const askingOf = askingFor(options);
  const tokens = new TokenCheck(options);
  const watchLogin = loginWatch(options);
  return function authMiddleware(req, res, next) {
    const asking = askingOf(req, res);
    if (asking === 'login') {
      watchLogin(res);
      next();
    } else if (asking === 'none') {
      next();
    } else {
      tokens.check(asking !== 'optional', req, res, next);
    }
  };
}

/** Admits the token that the response to a login hands out. */
function loginWatch(options: Readonly<AuthOptions>): (res: Response) => void {
  const { authenticator, clock = systemClock } = options;
  const onIssued = listener(options.onIssued);
  const onNotAdmitted = listener(options.onNotAdmitted);
  return (res) => {
    const askedAtMs = clock.now();
    const admit = (token: string) => authenticator.admit(token, askedAtMs).then(onIssued, onNotAdmitted);
    watchForToken(res, admit, options);
  };
}
