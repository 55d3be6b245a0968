import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { clientIndex, forwardedChain, type Hop, listed, unmapped } from '../../http/forwardedChain.ts';

/** Whether the peer at an address is trusted in what it says about the client. */
export type TrustsPeer = (address: string) => boolean;

/** A host with or without port, as in `Host`. */
const HOST = /^(?:[\w.~%-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i;
const PROTO = /^(?:https?|wss?)$/i;
const PORT = /^[1-9]\d{0,4}$/;
/** A path without dot segments, which would lead elsewhere. */
const PREFIX = /^(?:\/(?!\.{1,2}(?:\/|$))[\w.~!$&'()*+=:@%-]+)+$/;
const MAX_PREFIX_LENGTH = 1024;

/** The address of the socket's peer. An IPv4 address that is mapped into IPv6 is returned as IPv4. */
export function peerAddress(req: IncomingMessage): string {
  return unmapped(req.socket.remoteAddress ?? 'unknown');
}

/** The fields made for a connection. Only `host` may differ from request to request. */
interface Seen {
  /** The function that `trusted` comes from. */
  readonly trusts: TrustsPeer;
  readonly peer: string;
  readonly trusted: boolean;
  readonly host: string;
  readonly fields: readonly string[];
}

/** The property of a socket that has them. With a `WeakMap`, V8's young collections would keep dead requests alive. */
const SEEN = Symbol('seen');

interface SeenSocket extends Socket {
  [SEEN]?: Seen;
}

/**
 * Makes `X-Forwarded-*` and `Forwarded` (RFC 7239) for the service, as name, value, name, value.
 *
 * They are made from the socket. What the peer sent under these names is used only when its address is trusted. For peers
 * that are not, the fields are remembered with the connection.
 */
export function forwardedFieldsFor(trusts: TrustsPeer): (req: IncomingMessage) => readonly string[] {
  return (req) => {
    const socket: SeenSocket = req.socket;
    const host = req.headers.host ?? '';
    const seen = socket[SEEN]?.trusts === trusts ? socket[SEEN] : undefined;
    if (seen && !seen.trusted && seen.host === host) return seen.fields;
    const peer = seen?.peer ?? peerAddress(req);
    const trusted = seen?.trusted ?? trusts(peer);
    const fields = trusted ? believedFields(req, peer, trusts) : ownFields(req, peer);
    socket[SEEN] = { trusts, peer, trusted, host, fields };
    return fields;
  };
}

/**
 * The path prefix that trusted proxies have removed, to be put before the one that the gateway removes; the prefixes of several
 * proxies are joined. '' when there is none, or when it is not a path.
 */
export function forwardedPrefix(req: IncomingMessage, trusts: TrustsPeer): string {
  const given = req.headers['x-forwarded-prefix'];
  if (given === undefined || given.length > MAX_PREFIX_LENGTH || !trusts(peerAddress(req))) return '';
  const parts = listed(String(given)).map((part) => part.replace(/\/+$/, ''));
  const prefix = parts.join('');
  return PREFIX.test(prefix) ? prefix : '';
}

/** Whether the client has asked over TLS, as this connection shows, or else as a trusted proxy says. */
export function isSecureFor(trusts: TrustsPeer): (req: IncomingMessage) => boolean {
  return (req) => {
    if (schemeOf(req) === 'https') return true;
    const peer = peerAddress(req);
    if (!trusts(peer)) return false;
    const { proto } = believed(req, trusts);
    return proto === 'https' || proto === 'wss';
  };
}

/** By which host the client has asked: by `Host`, or else as a trusted proxy says. */
export function askedHostFor(trusts: TrustsPeer): (req: IncomingMessage) => string | undefined {
  return (req) => (trusts(peerAddress(req)) ? believed(req, trusts).host : req.headers.host);
}

/** The fields for a peer that is not trusted. */
function ownFields(req: IncomingMessage, peer: string): string[] {
  return fieldLines(
    { addresses: peer, host: req.headers.host ?? '', proto: schemeOf(req), port: undefined },
    peer,
  );
}

/** What the fields say about the way of the request up to here. */
interface Told {
  readonly addresses: string;
  readonly host: string;
  readonly proto: string;
  readonly port: string | undefined;
}

function fieldLines({ addresses, host, proto, port }: Told, peer: string, before = ''): string[] {
  const element = `${forPair(peer)};host=${quoted(host)};proto=${quoted(proto)}`;
  const lines = [
    'X-Forwarded-For',
    addresses,
    'X-Forwarded-Host',
    host,
    'X-Forwarded-Proto',
    proto,
    'Forwarded',
    before === '' ? element : `${before}, ${element}`,
  ];
  if (port !== undefined) lines.push('X-Forwarded-Port', port);
  return lines;
}

/** What trusted proxies say. */
interface Believed extends Omit<Told, 'addresses'> {
  readonly chain: readonly Hop[];
}

/**
 * A trusted proxy is trusted only in what it has written itself: the items that trusted proxies have appended to a
 * list.
 */
function believed(req: IncomingMessage, trusts: TrustsPeer): Believed {
  const { headers } = req;
  const chain = forwardedChain(headers);
  const index = clientIndex(chain, trusts);
  const fromEnd = Math.max(1, chain.length - index);
  const hop: Hop | undefined = headers['x-forwarded-for'] === undefined ? chain[index] : undefined;
  const appended = (name: string, valid: RegExp) => matching(itemFromEnd(headers[name], fromEnd), valid);
  return {
    chain,
    host: appended('x-forwarded-host', HOST) ?? matching(hop?.host, HOST) ?? headers.host ?? '',
    proto: (
      appended('x-forwarded-proto', PROTO) ??
      matching(hop?.proto, PROTO) ??
      schemeOf(req)
    ).toLowerCase(),
    port: appended('x-forwarded-port', PORT),
  };
}

function believedFields(req: IncomingMessage, peer: string, trusts: TrustsPeer): string[] {
  const { headers } = req;
  const { chain, ...told } = believed(req, trusts);
  const addresses = [...chain.map(({ address }) => address ?? 'unknown'), peer].join(', ');
  return fieldLines(
    { ...told, addresses },
    peer,
    elementsBefore(headers.forwarded, headers['x-forwarded-for'] !== undefined, chain),
  );
}

/** `Forwarded` as it was received when it has the same hops as `X-Forwarded-For`; otherwise made from those hops. */
function elementsBefore(forwarded: string | undefined, isListed: boolean, chain: readonly Hop[]): string {
  if (chain.length === 0) return '';
  if (forwarded !== undefined) {
    const said = isListed ? forwardedChain({ forwarded }) : chain;
    if (said.length === chain.length && said.every(({ address }, n) => address === chain[n]?.address))
      return forwarded;
  }
  return chain.map(({ address }) => forPair(address ?? 'unknown')).join(', ');
}

/** The item of a list that is `fromEnd` items from its end; the first one when the list is shorter. */
function itemFromEnd(field: string | string[] | undefined, fromEnd: number): string | undefined {
  if (field === undefined) return undefined;
  const items = listed(String(field));
  return items[Math.max(0, items.length - fromEnd)];
}

function matching(value: string | undefined, valid: RegExp): string | undefined {
  return value !== undefined && valid.test(value) ? value : undefined;
}

function schemeOf({ socket }: IncomingMessage): string {
  return (socket as TLSSocket).encrypted ? 'https' : 'http';
}

function forPair(address: string): string {
  return `for=${quoted(address.includes(':') ? `[${address}]` : address)}`;
}

/** A token unchanged, anything else as a quoted-string. */
function quoted(value: string): string {
  return /^[\w!#$%&'*+.^`|~-]+$/.test(value) ? value : `"${value.replace(/[\\"]/g, '\\$&')}"`;
}
