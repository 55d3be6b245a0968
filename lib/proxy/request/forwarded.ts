import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { clientIndex, forwardedChain, type Hop, listed, unmapped } from '../../http/forwardedChain.ts';

/** Whether the peer's own word about the client is believed. */
export type TrustsPeer = (address: string) => boolean;

/** A host with or without port, as in `Host`. */
const HOST = /^(?:[\w.~%-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i;
const PROTO = /^(?:https?|wss?)$/i;
const PORT = /^[1-9]\d{0,4}$/;
/** Segments without dots that would lead somewhere else. */
const PREFIX = /^(?:\/(?!\.{1,2}(?:\/|$))[\w.~!$&'()*+=:@%-]+)+$/;
const MAX_PREFIX_LENGTH = 1024;

/** The client as its socket shows it: IPv4 addresses in their own form, not mapped into IPv6. */
export function peerAddress(req: IncomingMessage): string {
  return unmapped(req.socket.remoteAddress ?? 'unknown');
}

/** What one connection shows of its client; only `host` may change from request to request. */
interface Seen {
  /** Who judged it. */
  readonly trusts: TrustsPeer;
  readonly peer: string;
  readonly trusted: boolean;
  readonly host: string;
  readonly fields: readonly string[];
}

/** Where a connection's own is. In a `WeakMap`, collections of young objects would let dead requests live on with it. */
const SEEN = Symbol('seen');

interface SeenSocket extends Socket {
  [SEEN]?: Seen;
}

/**
 * Makes `X-Forwarded-*` and `Forwarded` (RFC 7239) for the service, as name, value, name, value.
 *
 * Rebuilt from the socket: what the client sent under these names is kept only when its address is trusted. What a
 * stranger's connection comes to is remembered with it.
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
 * What a trusted proxy has cut off the front of the path, to stand before what the gateway cuts off; several proxies'
 * one behind the other. '' when it says nothing, or what is no path.
 */
export function forwardedPrefix(req: IncomingMessage, trusts: TrustsPeer): string {
  const given = req.headers['x-forwarded-prefix'];
  if (given === undefined || given.length > MAX_PREFIX_LENGTH || !trusts(peerAddress(req))) return '';
  const parts = listed(String(given)).map((part) => part.replace(/\/+$/, ''));
  const prefix = parts.join('');
  return PREFIX.test(prefix) ? prefix : '';
}

/** Of a peer that is not trusted. */
function ownFields(req: IncomingMessage, peer: string): string[] {
  return fieldLines(
    { addresses: peer, host: req.headers.host ?? '', proto: schemeOf(req), port: undefined },
    peer,
  );
}

/** What is passed on of the way up to here. */
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

/** A proxy is trusted with its own words only: in a list that others began, with those that it and its kin appended. */
function believedFields(req: IncomingMessage, peer: string, trusts: TrustsPeer): string[] {
  const { headers } = req;
  const chain = forwardedChain(headers);
  const index = clientIndex(chain, trusts);
  const fromEnd = Math.max(1, chain.length - index);
  const hop: Hop | undefined = headers['x-forwarded-for'] === undefined ? chain[index] : undefined;
  const appended = (name: string, valid: RegExp) => matching(itemFromEnd(headers[name], fromEnd), valid);
  const told: Told = {
    addresses: [...chain.map(({ address }) => address ?? 'unknown'), peer].join(', '),
    host: appended('x-forwarded-host', HOST) ?? matching(hop?.host, HOST) ?? headers.host ?? '',
    proto: (
      appended('x-forwarded-proto', PROTO) ??
      matching(hop?.proto, PROTO) ??
      schemeOf(req)
    ).toLowerCase(),
    port: appended('x-forwarded-port', PORT),
  };
  return fieldLines(
    told,
    peer,
    elementsBefore(headers.forwarded, headers['x-forwarded-for'] !== undefined, chain),
  );
}

/** `Forwarded` as it came where it tells the same way as `X-Forwarded-For`; else that way, written anew. */
function elementsBefore(forwarded: string | undefined, isListed: boolean, chain: readonly Hop[]): string {
  if (chain.length === 0) return '';
  if (forwarded !== undefined) {
    const said = isListed ? forwardedChain({ forwarded }) : chain;
    if (said.length === chain.length && said.every(({ address }, n) => address === chain[n]?.address))
      return forwarded;
  }
  return chain.map(({ address }) => forPair(address ?? 'unknown')).join(', ');
}

/** The item of a list that the proxy appended which is the `fromEnd`th from the service; the only one, where it is one. */
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

/** A token as it is, anything else as a quoted-string. */
function quoted(value: string): string {
  return /^[\w!#$%&'*+.^`|~-]+$/.test(value) ? value : `"${value.replace(/[\\"]/g, '\\$&')}"`;
}
