import type { IncomingMessage } from 'node:http';
import type { Response } from 'express';
import { clientAddress } from './clientAddress.ts';
import { exchangeOf } from './exchange.ts';

/** Names whoever sent a request; no name of an identity is one of an address. */
export type CallerOf = (req: IncomingMessage, res: Response) => string;

/**
 * Whom a request is counted for: its identity, or before authentication (and where there is none) its address.
 *
 * @param trusts whether the peer at an address is believed when it says for whom it forwards
 */
export function callerOf(trusts: (address: string) => boolean): CallerOf {
  const addressOf = clientAddress(trusts);
  return (req, res) => {
    const exchange = exchangeOf(res);
    if (exchange.identity) return exchange.identity.key;
    exchange.clientAddress ??= addressOf(req);
    return exchange.clientAddress;
  };
}
