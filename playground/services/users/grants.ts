import jwt from 'jsonwebtoken';
import type { User } from './users.ts';

const ACCESS_SECONDS = 60 * 60;
const REFRESH_SECONDS = 7 * 24 * 60 * 60;

export interface Grant {
  readonly access_token: string;
  readonly token_type: 'bearer';
  readonly expires_in: number;
}

/** Signs tokens with the claims of the stack's user management: no `sub`, no `jti`. */
export class Grants {
  readonly #secret: string;
  readonly #now: () => number;
  readonly #lastExpiry = new Map<string, number>();

  constructor(secret: string, now = Date.now) {
    this.#secret = secret;
    this.#now = now;
  }

  access(user: User): Grant {
    return {
      access_token: this.#sign(user, 'access', ACCESS_SECONDS),
      token_type: 'bearer',
      expires_in: ACCESS_SECONDS,
    };
  }

  refresh(user: User): string {
    return this.#sign(user, 'refresh', REFRESH_SECONDS);
  }

  /** The `uuid` of whom a refresh token is for; `undefined` when it is none of ours, or has expired. */
  subjectOf(refreshToken: string): string | undefined {
    try {
      const claims = jwt.verify(refreshToken, this.#secret, { algorithms: ['HS256'] });
      return typeof claims === 'object' && claims.type === 'refresh' ? String(claims.uuid) : undefined;
    } catch {
      return undefined;
    }
  }

  #sign({ id, uuid, email, username, role }: User, type: 'access' | 'refresh', seconds: number): string {
    const iat = Math.floor(this.#now() / 1000);
    const key = `${type} ${uuid}`;
    // Two of one second would be one token, which the logout of either session would end for both.
    const exp = Math.max(iat + seconds, (this.#lastExpiry.get(key) ?? 0) + 1);
    this.#lastExpiry.set(key, exp);
    return jwt.sign({ user_id: id, uuid, email, username, role, exp, iat, type }, this.#secret);
  }
}
