import type { IncomingMessage } from 'node:http';
import type { Exchange } from '../../exchange/exchange.ts';
import { subprotocols } from '../../http/subprotocol.ts';
import { type TraceContext, traceparentOf } from '../../tracing/traceContext.ts';
import { AmbiguousRequestError } from '../errors.ts';
import { type FieldName, fieldNames } from '../fieldNames.ts';
import { connectionOptions, isHopByHop } from '../hopByHop.ts';
import { forwardedFieldsFor, forwardedPrefix, type TrustsPeer } from './forwarded.ts';
import { isOwned } from './ownedFields.ts';

export interface RequestFieldsOptions {
  /** Peers whose `X-Forwarded-*` are believed. */
  readonly trustsPeer: TrustsPeer;
  /** Removes `Authorization` and every `X-Auth-*`, which on this port only the gateway may set. */
  readonly ownsIdentity: boolean;
  /** What the gateway calls itself in `Via`, a token (RFC 9110 section 7.6.3). */
  readonly via: string;
}

/** `nowMs` is the time in milliseconds since the epoch, for what is left of the deadline. */
export type RequestFields = (req: IncomingMessage, exchange: Exchange, nowMs: number) => string[];

/** What is done with a client's field: it passes, or the gateway has a word to say. */
type Role = 'passed' | 'dropped' | 'host' | 'transfer-encoding' | 'max-forwards' | 'trace';

/**
 * Makes the fields of a request to the service, as name, value, name, value; order, case and duplicates survive.
 *
 * The client's `Connection` list is applied before the gateway adds its own fields, so no client can strip
 * those (CVE-2021-32813, CVE-2026-33805).
 */
export function requestFieldsFor(options: Readonly<RequestFieldsOptions>): RequestFields {
  const { trustsPeer, ownsIdentity, via } = options;
  const nameOf = fieldNames((lower) => roleOf(lower, ownsIdentity));
  const forwardedFields = forwardedFieldsFor(trustsPeer);

  return (req, exchange, nowMs) => {
    const trace = exchange.attempt?.trace ?? exchange.joinTrace();
    const fields = passedOn(req, trace !== undefined, nameOf);
    fields.push('Via', `${req.httpVersion} ${via}`);
    if (ownsIdentity) addSubprotocols(fields, req);
    const prefix = forwardedPrefix(req, trustsPeer) + exchange.prefix;
    if (prefix) fields.push('X-Forwarded-Prefix', prefix);
    if (trace) addTrace(fields, trace);
    addOwnFields(fields, exchange, nowMs);
    fields.push(...forwardedFields(req));
    return fields;
  };
}

/** What the client sent and the service may see. */
function passedOn(
  req: IncomingMessage,
  isTraced: boolean,
  nameOf: (name: string) => FieldName<Role>,
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
    if (isDropped(role, isTraced) || dropped.has(lower)) continue;
    fields.push(name, role === 'max-forwards' ? oneLess(req, value) : value);
  }
  return fields;
}

function roleOf(lower: string, ownsIdentity: boolean): Role {
  if (lower === 'host' || lower === 'transfer-encoding' || lower === 'max-forwards') return lower;
  if (lower === 'traceparent' || lower === 'tracestate') return 'trace';
  return isHopByHop(lower) || isOwned(lower, ownsIdentity) ? 'dropped' : 'passed';
}

/** Whether it speaks of the client's connection only, or the gateway says it in its own words. */
function isDropped(role: Role, isTraced: boolean): boolean {
  return role === 'dropped' || role === 'transfer-encoding' || (role === 'trace' && isTraced);
}

/** `Max-Forwards` counts intermediaries for these methods alone (RFC 9110 section 7.6.2). */
function oneLess({ method }: IncomingMessage, value: string): string {
  const counts = (method === 'OPTIONS' || method === 'TRACE') && /^[1-9]\d{0,8}$/.test(value);
  return counts ? String(Number(value) - 1) : value;
}

/** What the client offers but for its token, which was the gateway's to read. */
function addSubprotocols(fields: string[], { headers }: IncomingMessage): void {
  const offered = headers['sec-websocket-protocol'];
  if (offered === undefined) return;
  const { others } = subprotocols(offered);
  if (others.length > 0) fields.push('Sec-WebSocket-Protocol', others.join(', '));
}

/** Other codings would be undone by nobody: the field that names them speaks of one connection only. */
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

/** As it is when it can be a field value, percent-encoded otherwise; `X-Auth-Claims` has it exactly. */
function fieldSafe(subject: string): string {
  // Not with a percent sign: it would pass for another subject's encoding.
  const isPlain = /^[\x21-\x24\x26-\x7e](?:[\x20-\x24\x26-\x7e]*[\x21-\x24\x26-\x7e])?$/.test(subject);
  return isPlain ? subject : encodeURIComponent(subject);
}
