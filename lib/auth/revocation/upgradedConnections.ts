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
 * Connections that left HTTP (WebSockets) with the token each was opened with. One whose token is revoked is cut
 * within a second. It stays when the token only expires, and while the store cannot tell.
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
    // It may have been revoked since it was accepted: a service may take seconds to agree to upgrade.
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
      // The store is away, and says so elsewhere: the connection was accepted once.
      () => {},
    );
  }
}
