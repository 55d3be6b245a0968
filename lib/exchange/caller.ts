import type { IncomingMessage } from 'node:http';
import type { Response } from 'express';
import { clientAddress } from '../http/clientAddress.ts';
import { exchangeOf } from './exchange.ts';

/** Names whoever sent a request; no name of an identity is one of an address. */
export type CallerOf = (req: IncomingMessage, res: Response) => string;

/** Where a request comes from, whoever sent it: see `clientAddress`. */
export function addressOf(trusts: (address: string) => boolean): CallerOf {
  const read = clientAddress(trusts);
  return (req, res) => {
    const exchange = exchangeOf(res);
    exchange.clientAddress ??= read(req);
    return exchange.clientAddress;
  };
}

/**
 * Whom a request is counted for: its identity, or before authentication (and where there is none) its address.
 *
 * @param trusts whether the peer at an address is believed when it says for whom it forwards
 */
export function callerOf(trusts: (address: string) => boolean): CallerOf {
  const address = addressOf(trusts);
  return (req, res) => exchangeOf(res).identity?.key ?? address(req, res);
}
