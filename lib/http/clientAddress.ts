import type { IncomingMessage } from 'node:http';
import { isIPv4, type Socket, SocketAddress } from 'node:net';
import { clientIndex, forwardedChain, nodeAddress, unmapped } from './forwardedChain.ts';

/** The property of a socket that remembers its client's key, which is the same for all requests. */
const KNOWN = Symbol('client address');

interface KnownSocket extends Socket {
  [KNOWN]?: { readonly trusts: (address: string) => boolean; readonly key: string };
}

/**
 * The key of the client by whose address a request is counted. It is made of the socket's address or, when that peer is trusted,
 * of the last address in `X-Forwarded-For` (without it, in `Forwarded`) that is not trusted. So only trusted peers can choose it.
 *
 * @param trusts whether the peer at an address is trusted
 */
export function clientAddress(trusts: (address: string) => boolean): (req: IncomingMessage) => string {
  return (req) => {
    const socket: KnownSocket = req.socket;
    const known = socket[KNOWN];
    if (known?.trusts === trusts) return known.key;
    const { remoteAddress = '' } = socket;
    if (trusts(remoteAddress)) return rateLimitKey(forwardedFor(req, trusts) ?? remoteAddress);
    // The fields of a peer that is not trusted are not even read, so it is one client for as long as it is connected.
    const key = rateLimitKey(remoteAddress);
    socket[KNOWN] = { trusts, key };
    return key;
  };
}

/**
 * The client's whole address, without port: the socket's or, when that peer is trusted, the last in the fields of proxies that is
 * not. Undefined when a trusted peer hides it.
 *
 * @param trusts whether the peer at an address is trusted
 */
export function clientIp(trusts: (address: string) => boolean): (req: IncomingMessage) => string | undefined {
  return (req) => {
    const { remoteAddress = '' } = req.socket;
    const text = (trusts(remoteAddress) ? forwardedFor(req, trusts) : undefined) ?? remoteAddress;
    // A link-local address includes its interface: fe80::1%eth0.
    return nodeAddress(text.replace(/%.*$/, ''));
  };
}

/** The last address on the request's way that is not trusted; undefined when there are no such fields. */
function forwardedFor(req: IncomingMessage, trusts: (address: string) => boolean): string | undefined {
  const chain = forwardedChain(req.headers);
  const index = clientIndex(chain, trusts);
  return index === -1 ? undefined : (chain[index]?.address ?? '');
}

/**
 * The key of an address: an IPv4 address unchanged, and the /64 of an IPv6 address, since every customer of a provider has at
 * least that many addresses. A text that is not an address, with or without a port, becomes `unknown`.
 */
export function rateLimitKey(text: string): string {
  // Nearly all are plain IPv4, which a port that listens on every address writes as IPv6.
  const plain = unmapped(text);
  if (isIPv4(plain)) return plain;
  const node = nodeAddress(text);
  if (node === undefined) return 'unknown';
  // Node writes each address in one way only.
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
