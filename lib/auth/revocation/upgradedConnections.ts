import type { Duplex } from 'node:stream';
import { type Cancel, type Clock, systemClock } from '../../clock/clock.ts';
import type { VerifiedToken } from '../tokens/verifier.ts';
import type { TokenRegistry } from './tokenRegistry.ts';

const LOOK_EVERY_MS = 500;

export interface UpgradedConnectionsOptions {
  readonly registry: TokenRegistry;
  readonly clock?: Clock;
}

/**
 * Upgraded connections (WebSockets), each with the token it was opened with. A connection whose token is revoked is closed
 * within a second. It stays open when the token merely expires, and while the store cannot say.
 */
export class UpgradedConnections {
  readonly #registry: TokenRegistry;
  readonly #clock: Clock;
  readonly #open = new Map<Duplex, VerifiedToken>();
  #cancel: Cancel | undefined;

  constructor({ registry, clock = systemClock }: Readonly<UpgradedConnectionsOptions>) {
    this.#registry = registry;
    this.#clock = clock;
  }

  add(connection: Duplex, token: VerifiedToken): void {
    if (connection.destroyed) return;
    this.#open.set(connection, token);
    connection.once('close', () => this.#open.delete(connection));
    this.#cancel ??= this.#lookLater();
    // The token may have been revoked meanwhile: a service may take seconds to accept the upgrade.
    this.#look(connection, token);
  }

  #lookLater(): Cancel {
    return this.#clock.after(LOOK_EVERY_MS, () => {
      for (const [connection, token] of this.#open) this.#look(connection, token);
      this.#cancel = this.#open.size > 0 ? this.#lookLater() : undefined;
    });
  }

  #look(connection: Duplex, token: VerifiedToken): void {
    const known = this.#registry.knownRevoked(token);
    if (known) connection.destroy();
    if (known !== undefined) return;
    this.#registry.revokedBy(token).then(
      (revoked) => void (revoked && connection.destroy()),
      // The store is away, which is logged elsewhere. The connection was accepted, so it stays.
      () => {},
    );
  }
}
