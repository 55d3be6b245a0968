import type { IncomingMessage } from 'node:http';
import { isIPv4, type Socket, SocketAddress } from 'node:net';
import { clientIndex, forwardedChain, nodeAddress, unmapped } from './forwardedChain.ts';

/** Where the client of a connection is remembered, which is the same for all of its requests. */
const KNOWN = Symbol('client address');

interface KnownSocket extends Socket {
  [KNOWN]?: { readonly trusts: (address: string) => boolean; readonly key: string };
}

/**
 * Whom a request is counted for by its address. That is the socket's, or where the peer is trusted the last one in
 * `X-Forwarded-For` (without it, in `Forwarded`) that is not: nobody can choose it who is not trusted.
 *
 * @param trusts whether the peer at an address is believed
 */
export function clientAddress(trusts: (address: string) => boolean): (req: IncomingMessage) => string {
  return (req) => {
    const socket: KnownSocket = req.socket;
    const known = socket[KNOWN];
    if (known?.trusts === trusts) return known.key;
    const { remoteAddress = '' } = socket;
    if (trusts(remoteAddress)) return rateLimitKey(forwardedFor(req, trusts) ?? remoteAddress);
    // What a peer says that is not trusted is not even read, so it is one client for as long as it is connected.
    const key = rateLimitKey(remoteAddress);
    socket[KNOWN] = { trusts, key };
    return key;
  };
}

/** The last address on the way that is not trusted; undefined: nobody has written one down. */
function forwardedFor(req: IncomingMessage, trusts: (address: string) => boolean): string | undefined {
  const chain = forwardedChain(req.headers);
  const index = clientIndex(chain, trusts);
  return index === -1 ? undefined : (chain[index]?.address ?? '');
}

/**
 * An IPv4 address as it is; of an IPv6 address its /64, since every customer of a provider has at least that many to
 * call from. What is no address, with or without a port, is `unknown`.
 */
export function rateLimitKey(text: string): string {
  // Most are plain, also where a port that listens on every address writes IPv4 as IPv6.
  const plain = unmapped(text);
  if (isIPv4(plain)) return plain;
  const node = nodeAddress(text);
  if (node === undefined) return 'unknown';
  // As Node writes it: each address in one way only.
  const address = unmapped(SocketAddress.parse(node.includes(':') ? `[${node}]` : node)?.address ?? node);
  return isIPv4(address) ? address : `${first64Bits(address)}::/64`;
}

function first64Bits(address: string): string {
  const [before = '', after] = address.split('::');
  const head = before === '' ? [] : before.split(':');
  const tail = after ? after.split(':') : [];
  const zeros = Array<string>(Math.max(0, 8 - head.length - tail.length)).fill('0');
  return [...head, ...zeros, ...tail].slice(0, 4).join(':');
}
