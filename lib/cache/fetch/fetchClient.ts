import type { RequestHandler } from 'express';
import type { Clock } from '../../clock/clock.ts';
import type { Exchange } from '../../exchange/exchange.ts';
import type { FieldLines } from '../../http/fields.ts';
import type { Trailers } from '../../response/sink.ts';
import type { Forward, Verdict } from '../rules/status.ts';
import type { Entry } from '../stored/entry.ts';
import type { Recorder, Recording } from '../stored/recorder.ts';
import type { CacheRequest } from './cacheRequest.ts';
import { notModified } from './storedResponse.ts';

export interface FetchClientOptions {
  readonly request: CacheRequest;
  /** Why the service is asked. */
  readonly reason: Forward;
  readonly clock: Clock;
  /** Called when the client takes more. */
  readonly onDrain: () => void;
}

interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  readonly fields: FieldLines;
}

/** What is known of a request that was forwarded, beside why it was. */
type Forwarded = Omit<Extract<Verdict, { kind: 'forward' }>, 'kind' | 'reason'>;

/** The client for which a fetch was begun: it gets the response as it comes, or what takes its place. */
export class FetchClient {
  readonly #options: FetchClientOptions;
  #owesNotModified = false;
  #awaitsDrain = false;
  /** The cache's own fields of the 304 that is owed. */
  #owedFields: readonly string[] = [];

  constructor(options: FetchClientOptions) {
    this.#options = options;
  }

  /** Whether the client has what is being stored already, and is to be told so when that is done. */
  get owesNotModified(): boolean {
    return this.#owesNotModified;
  }

  /** The access line names the replica that was asked. */
  tellOfAttempt({ attempt }: Exchange): void {
    this.#options.request.exchange.attempt = attempt;
  }

  begin({ status, reason, fields }: ResponseHead, { recording, fits }: Recorder): void {
    const { request, clock } = this.#options;
    this.#owesNotModified = recording !== undefined && request.isCurrent(recording, clock);
    const own = request.cacheStatusFields({ kind: 'forward', reason: this.#options.reason, stored: fits });
    if (this.#owesNotModified) this.#owedFields = own;
    else request.response.head(status, reason, withCacheStatus(fields, own));
  }

  /** Whether more may follow at once. */
  write(chunk: Buffer): boolean {
    const { request, onDrain } = this.#options;
    if (this.#owesNotModified || request.response.content(chunk)) return true;
    if (!this.#awaitsDrain) request.response.onDrain(onDrain);
    this.#awaitsDrain = true;
    return false;
  }

  flush(): void {
    if (!this.#owesNotModified) this.#options.request.response.flush();
  }

  interim(status: number, fields: FieldLines): void {
    this.#options.request.response.interim(status, fields);
  }

  end(last: Buffer | undefined, trailers: Trailers): void {
    this.#options.request.response.end(last, trailers);
  }

  /** The response broke off, as `exchange` says. */
  abort({ errorCode, failure }: Exchange): void {
    const { response, exchange } = this.#options.request;
    exchange.errorCode = errorCode;
    exchange.failure = failure;
    response.abort();
  }

  notModified(recording: Omit<Recording, 'body'>): void {
    const { request, clock } = this.#options;
    notModified(recording, request.response, this.#owedFields, clock.now());
  }

  /** Responds with a stored response. */
  serve(entry: Entry, forwarded: Forwarded): void {
    const { request, reason, clock } = this.#options;
    const nowMs = clock.now();
    const ttlMs = entry.generatedAtMs + entry.terms.lifetimeMs - nowMs;
    request.serve(entry, { kind: 'forward', reason, ttlMs, ...forwarded }, nowMs);
  }

  fail(error: unknown): void {
    const { request, reason } = this.#options;
    request.setCacheStatus({ kind: 'forward', reason });
    request.next(error);
  }

  /** Forwards the client's own request. */
  forward(origin: RequestHandler): void {
    this.#options.request.forward(origin, this.#options.reason);
  }

  /** Nothing more is written to the client from here. */
  leave(): void {
    if (this.#awaitsDrain) this.#options.request.response.offDrain(this.#options.onDrain);
  }
}

/** The service's fields with the cache's own; `Cache-Status` is a list that each cache appends to. */
function withCacheStatus(fields: FieldLines, [, xCache = '', , status = '']: readonly string[]): string[] {
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
