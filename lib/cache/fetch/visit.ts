import type { TLSSocket } from 'node:tls';
import type { NextFunction, Request, Response } from 'express';
import type { Clock } from '../../clock/clock.ts';
import { type Exchange, exchangeOf, nextWhileDue } from '../../exchange/exchange.ts';
import { type ResponseWriter, writerOf } from '../../response/responseWriter.ts';
import { isNotModified } from '../rules/conditional.ts';
import { type RequestTerms, requestTerms } from '../rules/requestTerms.ts';
import { cacheStatus, outcomeOf, type Verdict } from '../rules/status.ts';
import type { Audiences } from '../stored/audiences.ts';
import type { Quest } from '../stored/entries.ts';
import { type Entry, namedFields } from '../stored/entry.ts';
import { type Audience, audienceText, EVERYONE, type Speller } from '../stored/key.ts';
import { answerWith } from './answer.ts';

const X_CACHE = { hit: 'HIT', miss: 'MISS', bypass: 'BYPASS' } as const;

/** One request in front of the cache. */
export class Visit {
  readonly req: Request;
  readonly res: Response;
  readonly response: ResponseWriter;
  /** Silent once the reply is settled elsewhere. */
  readonly next: NextFunction;
  readonly exchange: Exchange;
  readonly terms: RequestTerms;
  readonly quest: Quest;
  readonly #onVerdict: (verdict: Verdict) => void;

  constructor(req: Request, res: Response, next: NextFunction, options: VisitOptions) {
    const { audiences: all, onVerdict, speller } = options;
    this.req = req;
    this.res = res;
    this.response = writerOf(res);
    this.next = nextWhileDue(res, next);
    this.exchange = exchangeOf(res);
    this.terms = requestTerms(req);
    this.#onVerdict = onVerdict;
    const { service, identity } = this.exchange;
    const resource = { service, authority: authorityOf(req), target: req.originalUrl };
    const audiences = all.of(req, identity);
    this.quest = {
      resource,
      audiences,
      owner: ownerOf(req, this.exchange, audiences),
      selecting: { rawHeaders: req.rawHeaders, identity },
      keys: speller.keysOf(resource),
    };
  }

  /** For whom an answer to this request may be stored; undefined for nobody. */
  audienceFor(isShared: boolean): Audience | undefined {
    const { audiences } = this.quest;
    if (isShared && audiences.includes(EVERYONE)) return EVERYONE;
    return audiences[0] === EVERYONE ? undefined : audiences[0];
  }

  /** When the sender gives up; `undefined` for never. In milliseconds from now. */
  leftMs(nowMs: number): number | undefined {
    const { deadlineAtMs } = this.exchange;
    return deadlineAtMs === undefined ? undefined : Math.max(0, deadlineAtMs - nowMs);
  }

  /** Says what became of the request: once, before somebody else begins its answer. */
  pronounce(verdict: Verdict): void {
    const [, xCache = '', , status = ''] = this.pronounced(verdict);
    this.response.replace('X-Cache', xCache);
    // A list that each cache appends to.
    this.response.add('Cache-Status', status);
  }

  /** The same in the fields of an answer that is begun here: Node takes them as they are while none is set. */
  pronounced(verdict: Verdict): readonly string[] {
    const outcome = outcomeOf(verdict);
    this.exchange.cacheVerdict = outcome;
    this.#onVerdict(verdict);
    return ['X-Cache', X_CACHE[outcome], 'Cache-Status', cacheStatus(verdict)];
  }

  /** Answers with what is stored: the whole of it, the part that was asked for, or that the client has it. */
  give(entry: Entry, verdict: Verdict, nowMs: number): void {
    this.exchange.phases?.begin('response');
    answerWith(entry, this.req, this.response, this.pronounced(verdict), nowMs);
  }

  /** Whether the client has what `entry` would give it. */
  has(entry: Pick<Entry, 'status' | 'fields'>, clock: Clock): boolean {
    const { headers } = this.req;
    const asks = headers['if-none-match'] !== undefined || headers['if-modified-since'] !== undefined;
    return asks && entry.status === 200 && isNotModified(headers, namedFields(entry), clock.now());
  }
}

export interface VisitOptions {
  readonly audiences: Audiences;
  readonly speller: Speller;
  readonly onVerdict: (verdict: Verdict) => void;
}

/** Who answers for what is stored: the identity, and where there is none the address. */
function ownerOf({ socket }: Request, exchange: Exchange, [own]: readonly Audience[]): string {
  if (own?.kind === 'identity') return audienceText(own);
  return exchange.clientAddress ?? socket.remoteAddress ?? '';
}

/** Whoever sent them, and whether they are believed: a service may read each of them. */
const NAMES_OF_GATEWAY = [
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'forwarded',
] as const;

/**
 * What services may build links from, whoever said it: a stored response with a forged name in it must not be found
 * by those who call the gateway by its own. The whole `Host`, as it is passed on: a port is part of it.
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
