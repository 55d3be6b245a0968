import type { IncomingMessage } from 'node:http';
import { isIPv4, isIPv6, SocketAddress } from 'node:net';
import proxyaddr from 'proxy-addr';

const MAPPED_IPV4 = '::ffff:';

/**
 * Whom a request is counted for by its address. That is the socket's, or where the peer is trusted the last one in
 * `X-Forwarded-For` that is not: nobody can choose it who is not trusted.
 *
 * @param trusts whether the peer at an address is believed
 */
export function clientAddress(trusts: (address: string) => boolean): (req: IncomingMessage) => string {
  return (req) => {
    const { remoteAddress = '' } = req.socket;
    // What a peer says that is not trusted is not even read.
    return household(trusts(remoteAddress) ? proxyaddr(req, trusts) : remoteAddress);
  };
}

/**
 * An IPv4 address as it is; of an IPv6 address its /64, since every customer of a provider has at least that many to
 * call from. What is no address, with or without a port, is `unknown`.
 */
export function household(text: string): string {
  if (isIPv4(text)) return text;
  // What a port that listens on every address says of an IPv4 peer.
  if (text.startsWith(MAPPED_IPV4) && isIPv4(text.slice(MAPPED_IPV4.length)))
    return text.slice(MAPPED_IPV4.length);
  const address = SocketAddress.parse(isIPv6(text) ? `[${text}]` : text)?.address;
  if (address === undefined) return 'unknown';
  if (address.startsWith(MAPPED_IPV4)) return address.slice(MAPPED_IPV4.length);
  return isIPv4(address) ? address : `${first64Bits(address)}::/64`;
}

function first64Bits(address: string): string {
  const [before = '', after] = address.split('::');
  const head = before === '' ? [] : before.split(':');
  const tail = after ? after.split(':') : [];
  const zeros = Array<string>(Math.max(0, 8 - head.length - tail.length)).fill('0');
  return [...head, ...zeros, ...tail].slice(0, 4).join(':');
}
