import type { RequestHandler } from 'express';
import type { Clock } from '../../clock/clock.ts';
import type { Exchange } from '../../exchange/exchange.ts';
import type { FieldLines } from '../../http/fields.ts';
import type { Trailers } from '../../response/sink.ts';
import type { Forward, Verdict } from '../rules/status.ts';
import type { Entry } from '../stored/entry.ts';
import type { Recorder, Recording } from '../stored/recorder.ts';
import { notModified } from './answer.ts';
import type { Visit } from './visit.ts';

export interface ReaderOptions {
  readonly visit: Visit;
  /** Why the service is asked. */
  readonly reason: Forward;
  readonly clock: Clock;
  /** The client takes more. */
  readonly onDrain: () => void;
}

/** The head of an answer, its fields as name, value, name, value. */
interface Head {
  readonly status: number;
  readonly reason: string;
  readonly fields: readonly string[];
}

type Forwarded = Omit<Extract<Verdict, { kind: 'forward' }>, 'kind' | 'reason'>;

/** The client for whom a fill was begun: it gets the answer as it comes, or what takes its place. */
export class Reader {
  readonly #options: ReaderOptions;
  #owesNotModified = false;
  #awaitsDrain = false;
  /** The verdict that a 304 will carry. */
  #owed: readonly string[] = [];

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  /** The client has what is being stored, and is to be told so when that is done. */
  get owesNotModified(): boolean {
    return this.#owesNotModified;
  }

  /** The access line names the replica that was asked. */
  tellOfAttempt({ attempt }: Exchange): void {
    this.#options.visit.exchange.attempt = attempt;
  }

  begin({ status, reason, fields }: Head, { recording, fits }: Recorder): void {
    const { visit, clock } = this.#options;
    this.#owesNotModified = recording !== undefined && visit.has(recording, clock);
    const own = this.#pronounced({ stored: fits });
    if (this.#owesNotModified) this.#owed = own;
    else visit.response.head(status, reason, withVerdict(fields, own));
  }

  /** Whether more may follow at once. */
  write(chunk: Buffer): boolean {
    const { visit, onDrain } = this.#options;
    if (this.#owesNotModified || visit.response.content(chunk)) return true;
    if (!this.#awaitsDrain) visit.response.onDrain(onDrain);
    this.#awaitsDrain = true;
    return false;
  }

  flush(): void {
    if (!this.#owesNotModified) this.#options.visit.response.flush();
  }

  interim(status: number, fields: FieldLines): void {
    this.#options.visit.response.interim(status, fields);
  }

  end(last: Buffer | undefined, trailers: Trailers): void {
    this.#options.visit.response.end(last, trailers);
  }

  /** The answer broke off, as `exchange` says. */
  cut({ errorCode, failure }: Exchange): void {
    const { response, exchange } = this.#options.visit;
    exchange.errorCode = errorCode;
    exchange.failure = failure;
    response.abort();
  }

  notModified(recording: Omit<Recording, 'body'>): void {
    notModified(recording, this.#options.visit.response, this.#owed, this.#options.clock.now());
  }

  /** Answers with something stored. */
  give(entry: Entry, verdict: Forwarded): void {
    const { visit, reason, clock } = this.#options;
    const nowMs = clock.now();
    const ttlMs = entry.generatedAtMs + entry.terms.lifetimeMs - nowMs;
    visit.give(entry, { kind: 'forward', reason, ttlMs, ...verdict }, nowMs);
  }

  fail(error: unknown): void {
    this.#pronounce();
    this.#options.visit.next(error);
  }

  /** Asks in the client's own words. */
  ask(origin: RequestHandler): void {
    const { req, res, next } = this.#options.visit;
    this.#pronounce();
    origin(req, res, next);
  }

  /** Nothing more will be written to the client from here. */
  leave(): void {
    if (this.#awaitsDrain) this.#options.visit.response.offDrain(this.#options.onDrain);
  }

  #pronounce(): void {
    const { visit, reason } = this.#options;
    visit.pronounce({ kind: 'forward', reason });
  }

  #pronounced({ stored }: Forwarded): readonly string[] {
    const { visit, reason } = this.#options;
    return visit.pronounced({ kind: 'forward', reason, stored });
  }
}

/** The service's fields with ours; `Cache-Status` is a list that each cache appends to. */
function withVerdict(fields: readonly string[], [, xCache = '', , status = '']: readonly string[]): string[] {
  const both = ['X-Cache', xCache];
  let caches = '';
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    const value = fields[i + 1] as string;
    const lower = name.length === 7 || name.length === 12 ? name.toLowerCase() : '';
    if (lower === 'cache-status') caches += `${value}, `;
    else if (lower !== 'x-cache') both.push(name, value);
  }
  both.push('Cache-Status', caches + status);
  return both;
}
