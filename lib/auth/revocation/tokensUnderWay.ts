import type { Duplex } from 'node:stream';
import { type Cancel, type Clock, systemClock } from '../../clock/clock.ts';
import type { Exchange, Identity } from '../../exchange/exchange.ts';
import { tokenError } from '../errors.ts';
import type { VerifiedToken } from '../tokens/verifier.ts';
import type { TokenRegistry } from './tokenRegistry.ts';

const LOOK_EVERY_MS = 500;

// Made once: of one subject thousands of streams may end at the same time.
const REVOKED = tokenError('token_revoked', 'the token was revoked while its stream was open');

export interface TokensUnderWayOptions {
  readonly registry: TokenRegistry;
  readonly clock?: Clock;
}

interface Open {
  readonly token: VerifiedToken;
  cut(): void;
}

/**
 * What stays open with the token that it was let in with: upgraded connections (WebSockets) and event streams. They are cut
 * within a second of the revocation of their token. They stay open when the token merely expires, and while the store cannot say.
 */
export class TokensUnderWay {
  readonly #registry: TokenRegistry;
  readonly #clock: Clock;
  readonly #all = new Set<Open>();
  #cancel: Cancel | undefined;

  constructor({ registry, clock = systemClock }: Readonly<TokensUnderWayOptions>) {
    this.#registry = registry;
    this.#clock = clock;
  }

  get size(): number {
    return this.#all.size;
  }

  /** The request with this token has upgraded its connection, which from then on carries no HTTP. */
  addUpgraded(connection: Duplex, token: VerifiedToken): void {
    if (connection.destroyed) return;
    const open = { token, cut: () => void connection.destroy() };
    connection.once('close', () => this.#all.delete(open));
    this.#add(open);
  }

  /** The request gets an event stream. Does nothing where it was let in without a token. A logout has revoked its own. */
  addStream(exchange: Exchange): void {
    const { identity, revokes } = exchange;
    if (revokes || !isToken(identity)) return;
    const open = { token: identity, cut: () => exchange.abort(REVOKED, 'settled') };
    exchange.onClose(() => this.#all.delete(open));
    this.#add(open);
  }

  #add(open: Open): void {
    this.#all.add(open);
    this.#cancel ??= this.#lookLater();
    // The token may have been revoked meanwhile: a service may take seconds to respond.
    this.#look(open);
  }

  #lookLater(): Cancel {
    return this.#clock.after(LOOK_EVERY_MS, () => {
      for (const open of this.#all) this.#look(open);
      this.#cancel = this.#all.size > 0 ? this.#lookLater() : undefined;
    });
  }

  #look(open: Open): void {
    const known = this.#registry.knownRevoked(open.token);
    if (known) open.cut();
    if (known !== undefined) return;
    this.#registry.revokedBy(open.token).then(
      (revoked) => void (revoked && open.cut()),
      // The store is away, which is logged elsewhere. The request was let in, so it stays.
      () => {},
    );
  }
}

function isToken(identity: Identity | undefined): identity is VerifiedToken {
  return identity !== undefined && 'digest' in identity;
}
