import type { IncomingHttpHeaders } from 'node:http';
import { isIP, isIPv4, isIPv6 } from 'node:net';

const MAPPED_IPV4 = '::ffff:';
/** How many of the latest hops are used. No real request has more than a few. */
const MAX_HOPS = 50;
/** The most pairs in a `Forwarded`, empty ones included. A longer field is ignored. */
const MAX_PAIRS = 500;
/** A port, or an obfuscated one (RFC 7239 section 6.3). */
const PORT = /^:(?:\d{1,5}|_[\w.-]+)$/;

/** What one proxy states about where it got the request from. */
export interface Hop {
  /** An IP address in lower case, without port; undefined when it is not stated, or hidden (RFC 7239 section 6). */
  readonly address: string | undefined;
  /** The host and scheme that the proxy was called with. Only `Forwarded` has them for each hop. */
  readonly host?: string | undefined;
  readonly proto?: string | undefined;
}

/**
 * The way of a request up to the peer, beginning with the client, as trusted proxies have recorded it.
 *
 * `X-Forwarded-For` takes precedence over `Forwarded`: most proxies write only the former, and pass on a client's `Forwarded`. A
 * `Forwarded` that does not follow RFC 7239 exactly is ignored. It must not be used for peers that are not trusted.
 */
export function forwardedChain({ 'x-forwarded-for': list, forwarded }: IncomingHttpHeaders): readonly Hop[] {
  if (list !== undefined) return listed(String(list)).map((node) => ({ address: nodeAddress(node) }));
  return forwarded === undefined ? [] : (readForwarded(forwarded)?.slice(-MAX_HOPS) ?? []);
}

/**
 * The index of the client in the chain: the last hop that is not trusted, or the first one if all are. -1 when the peer itself is
 * the client. Counted from the end, it applies to every list that the same proxies have appended to.
 *
 * @param trusts whether the proxy at an address is trusted
 */
export function clientIndex(chain: readonly Hop[], trusts: (address: string) => boolean): number {
  let index = chain.length - 1;
  while (index > 0) {
    const address = chain[index]?.address;
    if (address === undefined || !trusts(address)) break;
    index -= 1;
  }
  return index;
}

/** The items of a comma-separated field, trimmed and without empty ones (RFC 9110 section 5.6.1). */
export function listed(field: string): string[] {
  if (!field.includes(',')) return field.trim() === '' ? [] : [field.trim()];
  const items = field.split(',').map((item) => item.trim());
  return items.filter((item) => item !== '').slice(-MAX_HOPS);
}

/**
 * The address in the name of a node, with or without port: `192.0.2.7`, `192.0.2.7:80`, `2001:db8::1`, `[2001:db8::1]:80`, each
 * also in quotes. Undefined for `unknown`, `_hidden` and anything else that is not an address.
 */
export function nodeAddress(name: string): string | undefined {
  const node = name.startsWith('"') && name.endsWith('"') ? name.slice(1, -1) : name;
  if (isIPv4(node)) return node;
  const address = node.startsWith('[') ? inBrackets(node) : withoutPort(node);
  if (address === undefined || isIP(address) === 0 || address.includes('%')) return undefined;
  return unmapped(address.toLowerCase());
}

/** Converts an IPv4 address that is mapped into IPv6, as on a port that listens on every address, to IPv4. */
export function unmapped(address: string): string {
  const inner = address.startsWith(MAPPED_IPV4) ? address.slice(MAPPED_IPV4.length) : '';
  return isIPv4(inner) ? inner : address;
}

function inBrackets(node: string): string | undefined {
  const end = node.indexOf(']');
  const behind = node.slice(end + 1);
  if (end === -1 || (behind !== '' && !PORT.test(behind))) return undefined;
  const inner = node.slice(1, end);
  return isIPv6(inner) ? inner : undefined;
}

/** Removes a port. An IPv6 address can only have a port in brackets. */
function withoutPort(node: string): string {
  const colon = node.indexOf(':');
  return colon !== -1 && colon === node.lastIndexOf(':') && PORT.test(node.slice(colon))
    ? node.slice(0, colon)
    : node;
}

/** One pair of a `Forwarded` element (RFC 7239 section 4), with what ends it. */
const PAIR = /[ \t]*(?:([\w!#$%&'*+.^`|~-]+)=(?:([\w!#$%&'*+.^`|~-]+)|"((?:[^"\\]|\\.)*)")[ \t]*)?([;,]|$)/;

function readForwarded(field: string): Hop[] | undefined {
  const hops: Hop[] = [];
  let pairs: Record<string, string> = Object.create(null);
  const pair = new RegExp(PAIR, 'y');
  for (let read = 0, isOver = false; !isOver; read += 1) {
    const match = pair.exec(field);
    if (!match || read === MAX_PAIRS) return undefined;
    const [, name, token, quoted, ending] = match;
    if (name !== undefined) {
      // Each name may occur only once in an element.
      if (name.toLowerCase() in pairs) return undefined;
      pairs[name.toLowerCase()] = token ?? quoted?.replace(/\\(.)/g, '$1') ?? '';
    }
    isOver = ending === '';
    if (ending === ';') continue;
    if (Object.keys(pairs).length > 0) hops.push(hopOf(pairs));
    pairs = Object.create(null);
  }
  return hops;
}

function hopOf({ for: node, host, proto }: Record<string, string>): Hop {
  return { address: node === undefined ? undefined : nodeAddress(node), host, proto };
}
