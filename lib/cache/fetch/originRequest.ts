import type { Request } from 'express';
import { Exchange } from '../../exchange/exchange.ts';
import type { FieldLines } from '../../http/fields.ts';
import type { ResponseSink } from '../../response/sink.ts';

/** Fields that ask for less than the whole response. */
const PARTIAL: readonly string[] = ['if-none-match', 'if-modified-since', 'if-range', 'range'];

/**
 * A request for the whole response: `req` itself, or where it asks for less, or has to carry `conditions`, one that says
 * the same in all other fields. It has no content.
 */
export function wholeRequest(req: Request, conditions: FieldLines): Request {
  if (conditions.length === 0 && !isPartial(req)) return req;
  return new WholeRequest(req, conditions) as unknown as Request;
}

/** All that the handlers behind the cache ask of a request without content. */
class WholeRequest {
  readonly method: Request['method'];
  readonly url: Request['url'];
  readonly originalUrl: Request['originalUrl'];
  readonly httpVersion: Request['httpVersion'];
  readonly socket: Request['socket'];
  readonly rawHeaders: Request['rawHeaders'];
  readonly headers: Request['headers'];

  constructor(req: Request, conditions: FieldLines) {
    this.method = req.method;
    this.url = req.url;
    this.originalUrl = req.originalUrl;
    this.httpVersion = req.httpVersion;
    this.socket = req.socket;
    this.rawHeaders = [...withoutPartial(req.rawHeaders), ...conditions];
    this.headers = headersWith(req.headers, conditions);
  }
}

/** An exchange whose response goes to `response`. It asks the service on behalf of whoever sent the client's request. */
export function exchangeFor(response: ResponseSink, clients: Exchange): Exchange {
  const own = new Exchange(response);
  own.requestId = clients.requestId;
  own.service = clients.service;
  own.route = clients.route;
  own.prefix = clients.prefix;
  own.upstreamTarget = clients.upstreamTarget;
  own.identity = clients.identity;
  own.admission = clients.admission;
  own.content = clients.content;
  own.keptReplica = clients.keptReplica;
  own.deadlineAtMs = clients.deadlineAtMs;
  // The service is called for this request, if for several others as well.
  own.trace = clients.joinTrace();
  return own;
}

function isPartial({ headers }: Request): boolean {
  for (const name of PARTIAL) if (headers[name] !== undefined) return true;
  return false;
}

function withoutPartial(rawHeaders: FieldLines): string[] {
  const kept: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (!PARTIAL.includes(name.toLowerCase())) kept.push(name, rawHeaders[i + 1] as string);
  }
  return kept;
}

function headersWith(headers: Request['headers'], conditions: FieldLines): Request['headers'] {
  const { 'if-none-match': _e, 'if-modified-since': _d, 'if-range': _i, range: _r, ...whole } = headers;
  for (let i = 0; i < conditions.length; i += 2) {
    whole[(conditions[i] as string).toLowerCase()] = conditions[i + 1];
  }
  return whole;
}
