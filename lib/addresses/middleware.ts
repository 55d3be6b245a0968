import type { IncomingMessage } from 'node:http';
import { isIPv4, isIPv6 } from 'node:net';
import type { RequestHandler } from 'express';
import proxyaddr from 'proxy-addr';
import { stackless } from '../util/stackless.ts';
import { AddressRefusedError } from './errors.ts';

export interface AddressesOptions {
  /**
   * Who may come: addresses and ranges such as `10.0.0.0/8` and `fd00::/8`, in the syntax of proxy-addr. Undefined: everybody. An
   * IPv4 address stands also for the same one mapped into IPv6.
   */
  readonly allow: readonly string[] | undefined;
  /** Who may not, of those. */
  readonly deny: readonly string[];
  /** The client's address; undefined where it is not known: see `clientIp`. */
  readonly addressOf: (req: IncomingMessage) => string | undefined;
}

/**
 * Refuses clients by their address with `AddressRefusedError`. It fails closed: a client that a trusted proxy names no address of
 * is refused.
 */
export function addresses({ allow, deny, addressOf }: Readonly<AddressesOptions>): RequestHandler {
  const isAllowed = allow === undefined ? () => true : within(allow);
  const isDenied = deny.length === 0 ? () => false : within(deny);

  return function addressesMiddleware(req, _res, next) {
    const address = addressOf(req);
    if (address !== undefined && isAllowed(address) && !isDenied(address)) return next();
    next(stackless(() => new AddressRefusedError(address ?? 'not known')));
  };
}

/** All of a family, which proxy-addr does not take for a range. */
const EVERY: Readonly<Record<string, (address: string) => boolean>> = { '0.0.0.0/0': isIPv4, '::/0': isIPv6 };

function within(ranges: readonly string[]): (address: string) => boolean {
  const whole = ranges.flatMap((range) => EVERY[range] ?? []);
  const contains = proxyaddr.compile(ranges.filter((range) => !(range in EVERY)));
  return (address) => whole.some((isOf) => isOf(address)) || contains(address, 0);
}
