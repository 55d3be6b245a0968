import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { isPermit, type Permits } from '../../../lib/concurrency/permits.ts';
import { rateLimitKey } from '../../../lib/http/clientAddress.ts';

export interface ConnectionLimitOptions {
  /** Maximum number of open connections; further ones are closed at once. 0: no limit. */
  readonly maxConnections: number;
  /** Counts connections by address, for several threads together too. Default: only `maxConnections` applies. */
  readonly connections?: Permits | undefined;
  /** Whether the peer at an address is a trusted proxy, which has many clients. Default: none is. */
  readonly trustsPeer?: (address: string) => boolean;
  /** Whether the peer at an address may connect; others are closed at once. Default: everybody may. */
  readonly mayConnect?: (address: string | undefined) => boolean;
}

/** Closes connections over the limit, and those of peers that may not connect, before anything is read from them. */
export function limitConnections(server: Server, options: Readonly<ConnectionLimitOptions>): void {
  const { maxConnections, connections, trustsPeer = () => false, mayConnect } = options;
  if (connections) {
    server.prependListener('connection', (socket) => countConnection(socket, connections, trustsPeer));
  } else if (maxConnections > 0) {
    server.maxConnections = maxConnections;
  }
  if (mayConnect) {
    server.prependListener('connection', (socket) => {
      if (!mayConnect(socket.remoteAddress)) socket.destroy();
    });
  }
}

/**
 * Closes a connection that is over the limit. Connections of a trusted proxy are each counted as a caller of their own.
 */
function countConnection(socket: Socket, connections: Permits, trusts: (address: string) => boolean): void {
  const { remoteAddress = '', remotePort } = socket;
  const address = rateLimitKey(remoteAddress);
  const permit = connections.tryAcquire(trusts(remoteAddress) ? `${address} ${remotePort}` : address);
  if (isPermit(permit)) socket.once('close', () => permit.release());
  else socket.destroy();
}
