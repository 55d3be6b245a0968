import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

/** Whether the peer's own word about the client is believed. */
export type TrustsPeer = (address: string) => boolean;

/** The client as its socket shows it: IPv4 addresses in their own form, not mapped into IPv6. */
export function peerAddress(req: IncomingMessage): string {
  const address = req.socket.remoteAddress ?? 'unknown';
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
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
    const fields = forwardedFields(req, peer, trusted);
    socket[SEEN] = { trusts, peer, trusted, host, fields };
    return fields;
  };
}

function forwardedFields(req: IncomingMessage, peer: string, trusted: boolean): string[] {
  const believed = trusted ? req.headers : {};
  const host = single(believed['x-forwarded-host']) ?? req.headers.host ?? '';
  const proto =
    single(believed['x-forwarded-proto']) ?? ((req.socket as TLSSocket).encrypted ? 'https' : 'http');
  const element = `for=${quoted(peer.includes(':') ? `[${peer}]` : peer)};host=${quoted(host)};proto=${quoted(proto)}`;
  return [
    'X-Forwarded-For',
    appended(believed['x-forwarded-for'], peer),
    'X-Forwarded-Host',
    host,
    'X-Forwarded-Proto',
    proto,
    'Forwarded',
    appended(believed.forwarded, element),
  ];
}

function single(field: string | string[] | undefined): string | undefined {
  return Array.isArray(field) ? field[0] : field;
}

function appended(list: string | string[] | undefined, item: string): string {
  return list === undefined ? item : `${list}, ${item}`;
}

/** A token as it is, anything else as a quoted-string. */
function quoted(value: string): string {
  return /^[\w!#$%&'*+.^`|~-]+$/.test(value) ? value : `"${value.replace(/[\\"]/g, '\\$&')}"`;
}
