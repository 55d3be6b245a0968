import type { Duplex } from 'node:stream';
import type { NextFunction, Request, Response } from 'express';
import { exchangeOf, type Identity, nextWhileDue } from '../exchange/exchange.ts';
import { listener } from '../util/listener.ts';
import type { Authenticator } from './authenticator.ts';
import { InsufficientScopeError, TokenError } from './errors.ts';
import { type Requirement, type RequirementCheck, requirementCheck } from './requirement.ts';
import { type TokenReading, type TokenReadingOptions, tokenReading } from './sources/readToken.ts';
import type { VerifiedToken } from './tokens/verifier.ts';

export interface TokenCheckOptions extends TokenReadingOptions {
  readonly authenticator: Authenticator;
  /** What every token must say. Default: nothing more than who it is about. */
  readonly requirement?: Requirement | undefined;
  readonly onAccepted?: (identity: Identity) => void;
  /** Called for each refused token. The error's `code` is what the client is told, its `message` the exact reason. */
  readonly onRejected?: (error: TokenError | InsufficientScopeError, res: Response) => void;
  /** Called when a request with this token has upgraded its connection, which from then on carries no HTTP. */
  readonly onUpgraded?: (connection: Duplex, token: VerifiedToken) => void;
}

/**
 * Checks the tokens of requests and writes who is calling to `exchange.identity`. A token that was verified lately is checked
 * without waiting for anything. Whatever is wrong goes to `next`.
 */
export class TokenCheck {
  readonly #authenticator: Authenticator;
  readonly #reading: TokenReading;
  readonly #lackOf: RequirementCheck | undefined;
  readonly #onAccepted: (identity: Identity) => void;
  readonly #onRejected: (error: TokenError | InsufficientScopeError, res: Response) => void;
  readonly #onUpgraded: (connection: Duplex, token: VerifiedToken) => void;

  constructor(options: Readonly<TokenCheckOptions>) {
    this.#authenticator = options.authenticator;
    this.#reading = tokenReading(options);
    this.#lackOf = options.requirement && requirementCheck(options.requirement);
    this.#onAccepted = listener(options.onAccepted);
    this.#onRejected = listener(options.onRejected);
    this.#onUpgraded = listener(options.onUpgraded);
  }

  /** Lets the request through with a good token; where `asks` is false, without any as well. */
  check(asks: boolean, req: Request, res: Response, next: NextFunction): void {
    const token = this.#reading.read(req, exchangeOf(res));
    if (typeof token === 'string') this.#checkToken(token, req, res, next);
    else if (token === undefined && !asks) next();
    else this.#reject(token ?? this.#reading.missing, res, next);
  }

  #checkToken(token: string, req: Request, res: Response, next: NextFunction): void {
    let known: VerifiedToken | undefined;
    try {
      known = this.#authenticateNow(token, res);
    } catch (error) {
      this.#reject(error, res, next);
      return;
    }
    if (known) {
      this.#accept(req, res, known);
      next();
      return;
    }
    const nextIfDue = nextWhileDue(res, next);
    this.#authenticate(token, req, res).then(
      () => nextIfDue(),
      (error: unknown) => this.#reject(error, res, nextIfDue),
    );
  }

  /** The verified token, if that is known without waiting for anything. Throws `TokenError` and `InsufficientScopeError`. */
  #authenticateNow(token: string, res: Response): VerifiedToken | undefined {
    if (exchangeOf(res).revokes) return undefined;
    const known = this.#authenticator.authenticateNow(token);
    if (known) this.#assertMeets(known);
    return known;
  }

  async #authenticate(token: string, req: Request, res: Response): Promise<void> {
    const verified = await this.#authenticator.authenticate(token);
    this.#assertMeets(verified);
    if (exchangeOf(res).revokes) await this.#authenticator.revoke(verified);
    this.#accept(req, res, verified);
  }

  /** Throws `InsufficientScopeError`. */
  #assertMeets(token: VerifiedToken): void {
    const lack = this.#lackOf?.(token);
    if (lack) throw lack;
  }

  #accept(req: Request, res: Response, token: VerifiedToken): void {
    const exchange = exchangeOf(res);
    exchange.identity = token;
    if (exchange.upgradeHead) {
      res.once('close', () => exchange.upgraded && this.#onUpgraded(req.socket, token));
    }
    this.#onAccepted(token);
  }

  #reject(error: unknown, res: Response, next: (error: unknown) => void): void {
    if (error instanceof TokenError || error instanceof InsufficientScopeError) this.#onRejected(error, res);
    next(error);
  }
}
