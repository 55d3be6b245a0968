import type { ClientRequestArgs } from 'node:http';
import { Agent } from 'node:https';
import type { Socket } from 'node:net';
import type { Transport } from '../transport.ts';

/**
 * Opens the connections of upgrades over TLS on the terms of the transport. Node's own agent would ask for the name in the
 * `Host` that the client sent, and hold the service's certificate against that.
 */
export class UpgradeAgent extends Agent {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    super({ keepAlive: false });
    this.#transport = transport;
  }

  override createConnection({ host, port }: ClientRequestArgs): Socket {
    return this.#transport.connect(new URL(`https://${host}:${port}`));
  }
}
