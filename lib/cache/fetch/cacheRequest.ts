import type { TLSSocket } from 'node:tls';
import type { NextFunction, Request, RequestHandler, Response } from 'express';
import type { Clock } from '../../clock/clock.ts';
import { type Exchange, exchangeOf, type Identity, nextWhileDue } from '../../exchange/exchange.ts';
import type { FieldEdit } from '../../headers/fieldEdit.ts';
import type { FieldLines } from '../../http/fields.ts';
import { type ResponseWriter, writerOf } from '../../response/responseWriter.ts';
import { isNotModified } from '../rules/conditional.ts';
import { type RequestTerms, requestTerms } from '../rules/requestTerms.ts';
import { cacheStatus, type Forward, outcomeOf, type Verdict } from '../rules/status.ts';
import type { Selecting } from '../rules/vary.ts';
import { serviceTarget } from '../serviceTarget.ts';
import type { Audiences } from '../stored/audiences.ts';
import { type Entry, namedFields } from '../stored/entry.ts';
import type { Lookup } from '../stored/entryFinder.ts';
import { type Audience, audienceText, EVERYONE, type Speller } from '../stored/key.ts';
import { respondFromStore } from './storedResponse.ts';

const X_CACHE = { hit: 'HIT', miss: 'MISS', bypass: 'BYPASS' } as const;

/** One request in front of the cache, and how to respond to it. */
export class CacheRequest {
  readonly req: Request;
  readonly res: Response;
  readonly response: ResponseWriter;
  /** Does nothing once somebody else has replied. */
  readonly next: NextFunction;
  readonly exchange: Exchange;
  readonly terms: RequestTerms;
  readonly lookup: Lookup;
  readonly #onVerdict: (verdict: Verdict) => void;

  constructor(req: Request, res: Response, next: NextFunction, options: CacheRequestOptions) {
    const { audiences: all, onVerdict, speller, prefix, edit } = options;
    this.req = req;
    this.res = res;
    this.response = writerOf(res);
    this.next = nextWhileDue(res, next);
    this.exchange = exchangeOf(res);
    this.terms = requestTerms(req);
    this.#onVerdict = onVerdict;
    const { service, identity } = this.exchange;
    const authority = authorityOf(req);
    const target = serviceTarget(req, this.exchange, prefix);
    const resource = { service, authority, target, route: routeOf(this.exchange, prefix) };
    const audiences = all.of(req, identity);
    this.lookup = {
      resource,
      audiences,
      owner: ownerOf(req, this.exchange, audiences),
      selecting: edit ? new EditedFields(req, edit, identity) : { rawHeaders: req.rawHeaders, identity },
      keys: speller.keysOf(resource),
    };
  }

  /** For whom a response to this request may be stored. Undefined: for nobody. */
  audienceFor(isShared: boolean): Audience | undefined {
    const { audiences } = this.lookup;
    if (isShared && audiences.includes(EVERYONE)) return EVERYONE;
    return audiences[0] === EVERYONE ? undefined : audiences[0];
  }

  /** How long until the request's deadline, in milliseconds. Undefined: it has none. */
  leftMs(nowMs: number): number | undefined {
    const { deadlineAtMs } = this.exchange;
    return deadlineAtMs === undefined ? undefined : Math.max(0, deadlineAtMs - nowMs);
  }

  /** Sets `X-Cache` and `Cache-Status` of a response that somebody else is about to begin. To be called once. */
  setCacheStatus(verdict: Verdict): void {
    const [, xCache = '', , status = ''] = this.cacheStatusFields(verdict);
    this.response.replace('X-Cache', xCache);
    // A list that each cache appends to.
    this.response.add('Cache-Status', status);
  }

  /** The same as fields of a response that the cache begins. */
  cacheStatusFields(verdict: Verdict): readonly string[] {
    const outcome = outcomeOf(verdict);
    this.exchange.cacheVerdict = outcome;
    this.#onVerdict(verdict);
    return ['X-Cache', X_CACHE[outcome], 'Cache-Status', cacheStatus(verdict)];
  }

  /** Responds with a stored response: the whole of it, the range that was asked for, or a 304. */
  serve(entry: Entry, verdict: Verdict, nowMs: number): void {
    this.exchange.phases?.begin('response');
    respondFromStore(entry, this.req, this.response, this.cacheStatusFields(verdict), nowMs);
  }

  /** Forwards the request as it is. */
  forward(origin: RequestHandler, reason: Forward): void {
    this.setCacheStatus({ kind: 'forward', reason });
    origin(this.req, this.res, this.next);
  }

  /** Whether the client has this response already, and it is current. */
  isCurrent(entry: Pick<Entry, 'status' | 'fields'>, clock: Clock): boolean {
    const { headers } = this.req;
    const asks = headers['if-none-match'] !== undefined || headers['if-modified-since'] !== undefined;
    return asks && entry.status === 200 && isNotModified(headers, namedFields(entry), clock.now());
  }
}

export interface CacheRequestOptions {
  readonly audiences: Audiences;
  readonly speller: Speller;
  /** The part of clients' paths that the service does not get. */
  readonly prefix: string;
  /** How the service gets the fields; undefined: as they came. */
  readonly edit: FieldEdit | undefined;
  readonly onVerdict: (verdict: Verdict) => void;
}

/** The fields as the service gets them. They are made when some response varies. */
class EditedFields implements Selecting {
  readonly identity: Identity | undefined;
  readonly #req: Request;
  readonly #edit: FieldEdit;
  #lines: FieldLines | undefined;

  constructor(req: Request, edit: FieldEdit, identity: Identity | undefined) {
    this.#req = req;
    this.#edit = edit;
    this.identity = identity;
  }

  get rawHeaders(): FieldLines {
    this.#lines ??= this.#edit.apply(this.#req.rawHeaders.slice());
    return this.#lines;
  }
}

/** On whose account a response is stored: the identity's, or where there is none the address's. */
function ownerOf({ socket }: Request, exchange: Exchange, [own]: readonly Audience[]): string {
  if (own?.kind === 'identity') return audienceText(own);
  return exchange.clientAddress ?? socket.remoteAddress ?? '';
}

/** The route, and the prefix that the service is told of where that is not the usual one. '' without routes. */
function routeOf({ route, prefix }: Exchange, usual: string): string {
  return route === '' || prefix === usual ? route : `${route} ${prefix}`;
}

/** A service may read each of them, whoever has sent them. */
const NAMES_OF_GATEWAY = [
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'forwarded',
] as const;

/**
 * All names of the gateway in the request: services may build links from them. A stored response with a forged name in it
 * must not be found by requests that have the right name. `Host` counts with its port, as it is passed on.
 */
function authorityOf({ headers, socket }: Request): string {
  const scheme = (socket as Partial<TLSSocket>).encrypted ? 'https' : 'http';
  const authority = `${scheme}://${headers.host ?? ''}`;
  for (const name of NAMES_OF_GATEWAY) if (headers[name] !== undefined) return withNames(authority, headers);
  return authority;
}

function withNames(authority: string, headers: Request['headers']): string {
  return JSON.stringify([authority, ...NAMES_OF_GATEWAY.map((name) => headers[name] ?? null)]);
}
