import type { IncomingMessage } from 'node:http';
import type { Exchange } from '../../exchange/exchange.ts';
import type { FieldEdit } from '../../headers/fieldEdit.ts';
import { subprotocols } from '../../http/subprotocol.ts';
import { type TraceContext, traceparentOf } from '../../tracing/traceContext.ts';
import { AmbiguousRequestError } from '../errors.ts';
import { type FieldName, fieldNames } from '../fieldNames.ts';
import { connectionOptions, isHopByHop } from '../hopByHop.ts';
import { forwardedFieldsFor, forwardedPrefix, type TrustsPeer } from './forwarded.ts';
import { isOwned } from './ownedFields.ts';

export interface RequestFieldsOptions {
  /** Whether the `X-Forwarded-*` fields of the peer at an address are trusted. */
  readonly trustsPeer: TrustsPeer;
  /** Whether `Authorization` and every `X-Auth-*` are removed, because only the gateway may set them on this port. */
  readonly ownsIdentity: boolean;
  /** Whether `Authorization` passes on all the same. Default false. */
  readonly passesAuthorization?: boolean | undefined;
  /** The gateway's name in `Via`, a token (RFC 9110 section 7.6.3). */
  readonly via: string;
  /** What `Host` says: see `HostRule`. Default `client`. */
  readonly host?: HostRule;
  /** Changes what is passed on of the client's fields. Default: nothing is changed. */
  readonly edit?: FieldEdit | undefined;
  /** Whether they are of a copy of the request, which says so in `X-Mirrored` and is no try at a replica. Default false. */
  readonly isCopy?: boolean;
}

/** `client`: what the client sent. `upstream`: host and port of the replica. Otherwise a host with or without port. */
export type HostRule = 'client' | 'upstream' | { readonly name: string };

/**
 * Makes the fields of a request. `nowMs` is the time in milliseconds since the epoch, for what is left of the deadline.
 */
export type RequestFields = (req: IncomingMessage, exchange: Exchange, nowMs: number) => string[];

/** What is done with a client's field: most are `passed` or `dropped`, the others need a look at their value. */
type Role = 'passed' | 'dropped' | 'host' | 'transfer-encoding' | 'max-forwards' | 'trace';

/**
 * Makes the fields of a request to the service, as name, value, name, value. Order, case and duplicates are kept.
 *
 * The client's `Connection` field is applied before the gateway adds its own fields, so that no client can remove those
 * (CVE-2021-32813, CVE-2026-33805).
 */
export function requestFieldsFor(options: Readonly<RequestFieldsOptions>): RequestFields {
  const { trustsPeer, ownsIdentity, passesAuthorization = false, via, host = 'client', edit } = options;
  const { isCopy = false } = options;
  const nameOf = fieldNames((lower) =>
    passesAuthorization && lower === 'authorization' ? 'passed' : roleOf(lower, ownsIdentity),
  );
  const forwardedFields = forwardedFieldsFor(trustsPeer);

  return (req, exchange, nowMs) => {
    const trace = (isCopy ? undefined : exchange.attempt?.trace) ?? exchange.joinTrace();
    const passed = passedOn(req, trace !== undefined, nameOf, host === 'client');
    const fields = edit ? edit.apply(passed) : passed;
    if (typeof host === 'object') fields.push('Host', host.name);
    fields.push('Via', `${req.httpVersion} ${via}`);
    if (ownsIdentity) addSubprotocols(fields, req);
    const prefix = forwardedPrefix(req, trustsPeer) + exchange.prefix;
    if (prefix) fields.push('X-Forwarded-Prefix', prefix);
    if (trace) addTrace(fields, trace);
    if (isCopy) fields.push('X-Mirrored', '1');
    addOwnFields(fields, exchange, nowMs);
    fields.push(...forwardedFields(req));
    return fields;
  };
}

/** The client's fields that the service may see. */
function passedOn(
  req: IncomingMessage,
  isTraced: boolean,
  nameOf: (name: string) => FieldName<Role>,
  passesHost: boolean,
): string[] {
  const { rawHeaders } = req;
  const dropped = connectionOptions(req.headers.connection);
  const fields: string[] = [];
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    const value = rawHeaders[i + 1] as string;
    const { lower, role } = nameOf(name);
    if (role === 'host' && ++hosts > 1) throw new AmbiguousRequestError('more than one Host field');
    if (role === 'transfer-encoding') assertPlainChunks(value);
    if (isDropped(role, isTraced) || dropped.has(lower) || (role === 'host' && !passesHost)) continue;
    fields.push(name, role === 'max-forwards' ? oneLess(req, value) : value);
  }
  return fields;
}

function roleOf(lower: string, ownsIdentity: boolean): Role {
  if (lower === 'host' || lower === 'transfer-encoding' || lower === 'max-forwards') return lower;
  if (lower === 'traceparent' || lower === 'tracestate') return 'trace';
  return isHopByHop(lower) || isOwned(lower, ownsIdentity) ? 'dropped' : 'passed';
}

/** Whether the field applies to the client's connection only, or is replaced by the gateway's own. */
function isDropped(role: Role, isTraced: boolean): boolean {
  return role === 'dropped' || role === 'transfer-encoding' || (role === 'trace' && isTraced);
}

/** `Max-Forwards` counts intermediaries for OPTIONS and TRACE only (RFC 9110 section 7.6.2). */
function oneLess({ method }: IncomingMessage, value: string): string {
  const counts = (method === 'OPTIONS' || method === 'TRACE') && /^[1-9]\d{0,8}$/.test(value);
  return counts ? String(Number(value) - 1) : value;
}

/** Adds the subprotocols that the client offers, without the token among them, which was for the gateway. */
function addSubprotocols(fields: string[], { headers }: IncomingMessage): void {
  const offered = headers['sec-websocket-protocol'];
  if (offered === undefined) return;
  const { others } = subprotocols(offered);
  if (others.length > 0) fields.push('Sec-WebSocket-Protocol', others.join(', '));
}

/**
 * Other codings are refused: the field that names them is not forwarded, so the service could not decode the content.
 */
function assertPlainChunks(coding: string): void {
  if (coding.trim().toLowerCase() === 'chunked') return;
  throw new AmbiguousRequestError('a transfer coding other than chunked');
}

function addTrace(fields: string[], trace: TraceContext): void {
  fields.push('traceparent', traceparentOf(trace));
  if (trace.state) fields.push('tracestate', trace.state);
}

function addOwnFields(fields: string[], exchange: Exchange, nowMs: number): void {
  fields.push('X-Request-Id', exchange.requestId);
  if (exchange.deadlineAtMs !== undefined) {
    fields.push('X-Request-Timeout-Ms', String(Math.max(1, Math.round(exchange.deadlineAtMs - nowMs))));
  }
  if (exchange.identity) {
    fields.push(
      'X-Auth-Subject',
      fieldSafe(exchange.identity.subject),
      'X-Auth-Claims',
      exchange.identity.claims,
    );
  }
}

/** The subject unchanged if it can be a field value, percent-encoded otherwise. `X-Auth-Claims` has it exactly. */
function fieldSafe(subject: string): string {
  // A subject with a percent sign is encoded too: otherwise it could equal the encoding of another subject.
  const isPlain = /^[\x21-\x24\x26-\x7e](?:[\x20-\x24\x26-\x7e]*[\x21-\x24\x26-\x7e])?$/.test(subject);
  return isPlain ? subject : encodeURIComponent(subject);
}
