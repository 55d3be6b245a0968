import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';
import proxyAddr from 'proxy-addr';
import { type Kind, kind, splitList } from './kinds.ts';

/** What proxy-addr knows ranges by. */
const NAMED_RANGES: ReadonlySet<string> = new Set(['loopback', 'linklocal', 'uniquelocal']);

/** IPv4 addresses as IPv6 writes them (RFC 4291 section 2.5.5.2). */
const MAPPED = new BlockList();
const MAPPED_BITS = 96;
MAPPED.addSubnet('::ffff:0:0', MAPPED_BITS, 'ipv6');

/** An address or host name: `::`, `127.0.0.1`, `redis`. Docker's host names may contain underscores. */
export const host: Kind<string> = kind('an IP address or a host name', (given) =>
  isIP(given) !== 0 || isHostName(given) ? given : undefined,
);

/** `http://service-discovery:9000`, or a path below it. A slash at the end is removed. */
export const httpUrl: Kind<string> = kind(
  'an http or https URL without user, password, query and fragment',
  (given) => parseHttp(given)?.href.replace(/\/+$/, ''),
);

/** Scheme, host and port of one upstream: `http://budgeting-service:8087`. */
export const origin: Kind<string> = kind(
  'an origin such as http://budgeting-service:8087, without a path',
  (given) => {
    const url = parseHttp(given);
    return url?.pathname === '/' ? url.origin : undefined;
  },
);

/** Where an upstream is, and what stands before every path there: `http://legacy:8080/shop`. A slash at the end is removed. */
export const upstreamUrl: Kind<string> = kind(
  'an address such as http://budgeting-service:8087, perhaps with a path that goes before all others',
  (given) => {
    const url = parseHttp(given);
    const path = url?.pathname.replace(/\/$/, '');
    return url && path !== undefined && !/[%;]|\/\//.test(path) ? url.origin + path : undefined;
  },
);

/** `redis://user:password@host:6379/0`, or `rediss://` for TLS. Everything but the host is optional. */
export const redisAddress: Kind<string> = kind(
  'redis:// or rediss:// with [user:password@]host[:port][/db]',
  (given) => {
    if (!/^rediss?:\/\//.test(given)) return undefined;
    const url = URL.parse(given);
    const plain =
      url && url.hostname !== '' && url.search === '' && url.hash === '' && /^(\/\d*)?$/.test(url.pathname);
    return plain && decodes(url.username) && decodes(url.password) ? url.href : undefined;
  },
);

/** One address or range in the syntax of proxy-addr. */
export const address: Kind<string> = kind(
  'an IP address or range such as 10.0.0.0/8 or fd00::/8, or loopback, linklocal or uniquelocal',
  (given) => (isAddress(given) || given === '0.0.0.0/0' || given === '::/0' ? given : undefined),
);

/** Addresses in the syntax of proxy-addr, including the names `loopback`, `linklocal` and `uniquelocal`. */
export const addressList: Kind<readonly string[]> = kind(
  'a comma-separated list of IP addresses and ranges such as 10.0.0.0/8 or fd00::/8',
  (given) => {
    const addresses = given === '' ? [] : splitList(given);
    return addresses.every(isAddress) ? addresses : undefined;
  },
);

/** Host names, converted to lower case. */
export const hostList: Kind<readonly string[]> = kind('a comma-separated list of host names', (given) => {
  const names = given === '' ? [] : splitList(given);
  return names.every(isHostName) ? names.map((name) => name.toLowerCase()) : undefined;
});

function isHostName(given: string): boolean {
  const isMistakenIp = /^[\d.]+$/.test(given);
  return !isMistakenIp && !given.includes('..') && /^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/i.test(given);
}

function parseHttp(given: string): URL | undefined {
  const url = /^https?:\/\//i.test(given) ? URL.parse(given) : null;
  const bare = url && url.username === '' && url.password === '' && !/[?#]/.test(given);
  return bare ? url : undefined;
}

/**
 * Stricter than proxy-addr, which reads `010.0.0.0/8` as 8.0.0.0/8 (octal) and `10` as 0.0.0.10: a rule must not be about other
 * addresses than it says.
 */
function isAddress(given: string): boolean {
  if (NAMED_RANGES.has(given)) return true;
  const [ip = '', range] = given.split('/');
  if (isIP(ip) === 0 || (range !== undefined && !isRange(ip, range))) return false;
  try {
    proxyAddr.compile(given);
    return true;
  } catch {
    return false;
  }
}

/** A wider range of addresses that stand for IPv4 in IPv6 would hold none of IPv4. */
function isRange(ip: string, range: string): boolean {
  if (isIPv4(ip) && isIPv4(range)) return true;
  if (!/^[1-9]\d*$/.test(range)) return false;
  return !isIPv6(ip) || !MAPPED.check(ip, 'ipv6') || Number(range) >= MAPPED_BITS;
}

/** Whether percent-encoding is valid: a stray `%` would make the Redis client throw. */
function decodes(given: string): boolean {
  try {
    decodeURIComponent(given);
    return true;
  } catch {
    return false;
  }
}
