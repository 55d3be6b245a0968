import type { IncomingMessage } from 'node:http';
import { isIPv4, SocketAddress } from 'node:net';
import { clientIndex, forwardedChain, nodeAddress, unmapped } from './forwardedChain.ts';

/**
 * Whom a request is counted for by its address. That is the socket's, or where the peer is trusted the last one in
 * `X-Forwarded-For` (without it, in `Forwarded`) that is not: nobody can choose it who is not trusted.
 *
 * @param trusts whether the peer at an address is believed
 */
export function clientAddress(trusts: (address: string) => boolean): (req: IncomingMessage) => string {
  return (req) => {
    const { remoteAddress = '' } = req.socket;
    // What a peer says that is not trusted is not even read.
    if (!trusts(remoteAddress)) return rateLimitKey(remoteAddress);
    const chain = forwardedChain(req.headers);
    const index = clientIndex(chain, trusts);
    return rateLimitKey(index === -1 ? remoteAddress : (chain[index]?.address ?? ''));
  };
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
