import type { IncomingHttpHeaders } from 'node:http';
import { isIP, isIPv4, isIPv6 } from 'node:net';

const MAPPED_IPV4 = '::ffff:';
/** Hops that are looked at, the latest. More than a few are nobody's real way. */
const MAX_HOPS = 50;
/** Pairs of a `Forwarded` that are read, empty ones too: with more it counts as none. */
const MAX_PAIRS = 500;
/** A port, or an obfuscated one (RFC 7239 section 6.3). */
const PORT = /^:(?:\d{1,5}|_[\w.-]+)$/;

/** What one proxy says of where it got the request from. */
export interface Hop {
  /** An IP address in lower case, without port; undefined: not said, or hidden (RFC 7239 section 6). */
  readonly address: string | undefined;
  /** What the proxy was asked for and by which scheme. Only `Forwarded` says it hop by hop. */
  readonly host?: string | undefined;
  readonly proto?: string | undefined;
}

/**
 * The way of a request up to the peer, the client's end first, as trusted proxies have written it down.
 *
 * `X-Forwarded-For` wins over `Forwarded`: most proxies write only the former and let a client's `Forwarded` pass. A
 * `Forwarded` that is not exactly RFC 7239 counts as none. Not safe for the fields of a peer that is not trusted.
 */
export function forwardedChain({ 'x-forwarded-for': list, forwarded }: IncomingHttpHeaders): readonly Hop[] {
  if (list !== undefined) return listed(String(list)).map((node) => ({ address: nodeAddress(node) }));
  return forwarded === undefined ? [] : (readForwarded(forwarded)?.slice(-MAX_HOPS) ?? []);
}

/**
 * Where in the chain the client stands: the last hop that is not trusted, or the first if all are. -1: the peer itself
 * is the client. It is the same count from the end for every list that the same proxies have appended to.
 *
 * @param trusts whether the proxy at an address is believed
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

/** The items of a comma-separated field that proxies append to, without blanks and empty ones (RFC 9110 section 5.6.1). */
export function listed(field: string): string[] {
  if (!field.includes(',')) return field.trim() === '' ? [] : [field.trim()];
  const items = field.split(',').map((item) => item.trim());
  return items.filter((item) => item !== '').slice(-MAX_HOPS);
}

/**
 * The address in a node's name, with or without port: `192.0.2.7`, `192.0.2.7:80`, `2001:db8::1`, `[2001:db8::1]:80`, each
 * also in quotes. Undefined for `unknown`, `_hidden` and whatever else is no address.
 */
export function nodeAddress(name: string): string | undefined {
  const node = name.startsWith('"') && name.endsWith('"') ? name.slice(1, -1) : name;
  if (isIPv4(node)) return node;
  const address = node.startsWith('[') ? inBrackets(node) : withoutPort(node);
  if (address === undefined || isIP(address) === 0 || address.includes('%')) return undefined;
  return unmapped(address.toLowerCase());
}

/** An IPv4 address as it is when it comes mapped into IPv6, as a port that listens on every address has it. */
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

/** An IPv6 address has no port here: it would need brackets. */
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
      // A pair may occur only once.
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
