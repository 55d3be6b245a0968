import type { IncomingMessage } from 'node:http';
import type { Response } from 'express';
import { clientAddress } from '../http/clientAddress.ts';
import { exchangeOf } from './exchange.ts';

/** The key of whoever sent a request. The key of an identity never equals the key of an address. */
export type CallerOf = (req: IncomingMessage, res: Response) => string;

/** The address that a request comes from, whoever sent it. See `clientAddress`. */
export function addressOf(trusts: (address: string) => boolean): CallerOf {
  const read = clientAddress(trusts);
  return (req, res) => {
    const exchange = exchangeOf(res);
    exchange.clientAddress ??= read(req);
    return exchange.clientAddress;
  };
}

/**
 * The caller that a request is counted for: its identity, or its address before authentication and where there is none.
 *
 * @param trusts whether the peer at an address is believed when it says for whom it forwards
 */
export function callerOf(trusts: (address: string) => boolean): CallerOf {
  const address = addressOf(trusts);
  return (req, res) => exchangeOf(res).identity?.key ?? address(req, res);
}
