import type { IncomingMessage } from 'node:http';
import type { Exchange } from '../exchange/exchange.ts';
import { traceparentOf } from '../tracing/traceContext.ts';
import { AmbiguousRequestError } from './errors.ts';
import { forwardedFields, type TrustsPeer } from './forwarded.ts';
import { connectionOptions, isHopByHop } from './hopByHop.ts';

export interface RequestFieldsOptions {
  /** Peers whose `X-Forwarded-*` are believed. */
  readonly trustsPeer: TrustsPeer;
  /** Removes `Authorization` and every `X-Auth-*`, which on this port only the gateway may set. */
  readonly ownsIdentity: boolean;
  readonly nowMs: number;
}

/** Fields the gateway answers for itself; a client's copies never reach a service. */
const OWNED: ReadonlySet<string> = new Set([
  'expect',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-forwarded-proto',
  'x-forwarded-server',
  'x-real-ip',
  'x-request-id',
  'x-request-timeout-ms',
]);

/**
 * The fields of the request to the service, as name, value, name, value; order, case and duplicates survive.
 *
 * The client's `Connection` list is applied before the gateway adds its own fields, so no client can strip
 * those (CVE-2021-32813, CVE-2026-33805).
 */
export function requestFields(
  req: IncomingMessage,
  exchange: Exchange,
  { trustsPeer, ownsIdentity, nowMs }: Readonly<RequestFieldsOptions>,
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
    if (isHopByHop(lower) || dropped.has(lower) || isOwned(lower, ownsIdentity)) continue;
    if (exchange.trace && (lower === 'traceparent' || lower === 'tracestate')) continue;
    fields.push(name, rawHeaders[i + 1] as string);
  }
  addOwnFields(fields, exchange, nowMs);
  return fields.concat(forwardedFields(req, trustsPeer));
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

function isOwned(lower: string, ownsIdentity: boolean): boolean {
  // Many servers read X_Auth_Subject and X-Auth-Subject as one name.
  const name = lower.includes('_') ? lower.replaceAll('_', '-') : lower;
  return OWNED.has(name) || (ownsIdentity && (name === 'authorization' || name.startsWith('x-auth-')));
}
