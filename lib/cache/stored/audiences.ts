import type { IncomingMessage } from 'node:http';
import type { Identity } from '../../exchange/exchange.ts';
import { ANONYMOUS, type Audience, audienceOf, EVERYONE } from './key.ts';

/** For whom a stored response may be that a request is given, and who may be given what is stored of its response. */
export class Audiences {
  readonly #strangers: readonly Audience[];
  readonly #anonymous: readonly Audience[];
  readonly #isShared: boolean;
  /** Of those that were asked for: an identity is the same object for all requests with its token. */
  readonly #known = new WeakMap<Identity, readonly Audience[]>();

  /** @param isShared whether responses may be shared that say so */
  constructor(isShared: boolean) {
    this.#isShared = isShared;
    this.#strangers = isShared ? [EVERYONE] : [];
    this.#anonymous = this.#with(ANONYMOUS);
  }

  /**
   * Without a verified identity nobody can say whose `Authorization` or `Cookie` it is: such a request gets and stores
   * only what everybody may have (RFC 9111 section 3.5).
   */
  of({ headers }: IncomingMessage, identity: Identity | undefined): readonly Audience[] {
    if (identity) return this.#ofIdentity(identity);
    const isStranger = headers.authorization !== undefined || headers.cookie !== undefined;
    return isStranger ? this.#strangers : this.#anonymous;
  }

  #ofIdentity(identity: Identity): readonly Audience[] {
    const known = this.#known.get(identity);
    if (known) return known;
    const audiences = this.#with(audienceOf(identity.key));
    this.#known.set(identity, audiences);
    return audiences;
  }

  #with(own: Audience): readonly Audience[] {
    return this.#isShared ? [own, EVERYONE] : [own];
  }
}
