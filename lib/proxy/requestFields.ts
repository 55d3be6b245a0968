import type { IncomingMessage } from 'node:http';
import type { Exchange } from '../exchange/exchange.ts';
import { subprotocols } from '../exchange/subprotocol.ts';
import { traceparentOf } from '../tracing/traceContext.ts';
import { AmbiguousRequestError } from './errors.ts';
import { forwardedFields, type TrustsPeer } from './forwarded.ts';
import { connectionOptions, isHopByHop } from './hopByHop.ts';
import { isOwned } from './ownedFields.ts';

export interface RequestFieldsOptions {
  /** Peers whose `X-Forwarded-*` are believed. */
  readonly trustsPeer: TrustsPeer;
  /** Removes `Authorization` and every `X-Auth-*`, which on this port only the gateway may set. */
  readonly ownsIdentity: boolean;
  /** What the gateway calls itself in `Via`, a token (RFC 9110 section 7.6.3). */
  readonly via: string;
  readonly nowMs: number;
}

/**
 * The fields of the request to the service, as name, value, name, value; order, case and duplicates survive.
 *
 * The client's `Connection` list is applied before the gateway adds its own fields, so no client can strip
 * those (CVE-2021-32813, CVE-2026-33805).
 */
export function requestFields(
  req: IncomingMessage,
  exchange: Exchange,
  { trustsPeer, ownsIdentity, via, nowMs }: Readonly<RequestFieldsOptions>,
): string[] {
  const { rawHeaders } = req;
  const dropped = connectionOptions(req.headers.connection);
  const fields: string[] = [];
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    const lower = name.toLowerCase();
    if (lower === 'host' && ++hosts > 1) throw new AmbiguousRequestError('more than one Host field');
    if (lower === 'transfer-encoding') assertPlainChunks(rawHeaders[i + 1] as string);
    if (isHopByHop(lower) || dropped.has(lower) || isReplaced(lower, exchange, ownsIdentity)) continue;
    const value = rawHeaders[i + 1] as string;
    fields.push(name, lower === 'max-forwards' ? oneLess(req, value) : value);
  }
  fields.push('Via', `${req.httpVersion} ${via}`);
  if (ownsIdentity) addSubprotocols(fields, req);
  addOwnFields(fields, exchange, nowMs);
  return fields.concat(forwardedFields(req, trustsPeer));
}

/** Whether the gateway says it in its own words. */
function isReplaced(lower: string, { trace }: Exchange, ownsIdentity: boolean): boolean {
  if (trace && (lower === 'traceparent' || lower === 'tracestate')) return true;
  return isOwned(lower, ownsIdentity);
}

/** `Max-Forwards` counts intermediaries for these methods alone (RFC 9110 section 7.6.2). */
function oneLess({ method }: IncomingMessage, value: string): string {
  const counts = (method === 'OPTIONS' || method === 'TRACE') && /^[1-9]\d{0,8}$/.test(value);
  return counts ? String(Number(value) - 1) : value;
}

/** What the client offers but for its token, which was the gateway's to read. */
function addSubprotocols(fields: string[], { headers }: IncomingMessage): void {
  const { others } = subprotocols(headers['sec-websocket-protocol']);
  if (others.length > 0) fields.push('Sec-WebSocket-Protocol', others.join(', '));
}

/** Other codings would be undone by nobody: the field that names them speaks of one connection only. */
function assertPlainChunks(coding: string): void {
  if (coding.trim().toLowerCase() === 'chunked') return;
  throw new AmbiguousRequestError('a transfer coding other than chunked');
}

function addOwnFields(fields: string[], exchange: Exchange, nowMs: number): void {
  fields.push('X-Request-Id', exchange.requestId);
  if (exchange.prefix) fields.push('X-Forwarded-Prefix', exchange.prefix);
  if (exchange.deadlineAtMs !== undefined) {
    fields.push('X-Request-Timeout-Ms', String(Math.max(1, Math.round(exchange.deadlineAtMs - nowMs))));
  }
  const trace = exchange.attempt?.trace ?? exchange.trace;
  if (trace) {
    fields.push('traceparent', traceparentOf(trace));
    if (trace.state) fields.push('tracestate', trace.state);
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
