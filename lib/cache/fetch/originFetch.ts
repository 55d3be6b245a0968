import type { Request } from 'express';
import type { Cancel } from '../../clock/clock.ts';
import { ClientGoneError } from '../../exchange/errors.ts';
import { type Exchange, unconnected } from '../../exchange/exchange.ts';
import type { FieldLines } from '../../http/fields.ts';
import type { ResponseSink, Trailers } from '../../response/sink.ts';
import { RequestTimeoutError } from '../../timeout/errors.ts';
import { validators } from '../rules/conditional.ts';
import { type Entry, namedFields } from '../stored/entry.ts';
import { Recorder, type RecorderListener, type Recording } from '../stored/recorder.ts';
import { FetchClient } from './fetchClient.ts';
import type { FetchContext, FetchOptions, FetchOwner } from './fetchContract.ts';
import { exchangeFor, wholeRequest } from './originRequest.ts';
import { Settlement } from './settlement.ts';

/** If a stale response may be served instead of an error, the service gets 90 % of the time that is left. */
const TIME_FOR_SERVICE = 0.9;
const NO_FIELDS: FieldLines = [];
const NOT_PLANNED: Cancel = () => {};

/**
 * Asks the service for one response, stores it where that is allowed, and passes it on to the client for which the fetch
 * was begun. It does not end with that client, but with the last request that waits for it.
 */
export class OriginFetch implements ResponseSink, RecorderListener {
  readonly #context: FetchContext;
  readonly #options: FetchOptions;
  readonly #owner: FetchOwner;
  readonly #settlement: Settlement;
  readonly #recorder: Recorder;
  readonly #req: Request;
  readonly #exchange: Exchange;
  /** Gets the response as it comes. Undefined once it has left or got something else. */
  #client: FetchClient | undefined;
  #hasBegun = false;
  #isOver = false;
  #drainListener: (() => void) | undefined;
  #cancelDeadline = NOT_PLANNED;

  constructor(context: FetchContext, options: FetchOptions, owner: FetchOwner) {
    const { request, found, reason, inBackground } = options;
    const { clock } = context;
    this.#context = context;
    this.#options = options;
    this.#owner = owner;
    const requestedAtMs = clock.now();
    this.#settlement = new Settlement(context, options, owner, requestedAtMs);
    this.#recorder = new Recorder(context, requestedAtMs, this);
    this.#req = wholeRequest(request.req, found.entry ? validators(namedFields(found.entry)) : NO_FIELDS);
    this.#exchange = exchangeFor(this, request.exchange);
    if (inBackground) return;
    // A background revalidation is not part of the request's time.
    this.#exchange.phases = request.exchange.phases;
    this.#client = new FetchClient({ request, reason, clock, onDrain: () => this.#drainListener?.() });
  }

  start(): void {
    const { origin } = this.#context;
    // As long as a client waits, and nothing else could be served, its own deadline is enough.
    if (!this.#client || this.#settlement.fallback) this.#startDeadline();
    try {
      origin(this.#req, unconnected(this.#req, this.#exchange), (error?: unknown) => this.#failed(error));
    } catch (error) {
      this.#failed(error);
    }
  }

  /** The client does not wait any more. */
  clientLeft(reason: Error): void {
    if (!this.#client) return;
    this.#client.tellOfAttempt(this.#exchange);
    this.#dropClient();
    this.abandonUnlessWanted(reason);
    if (!this.#settlement.isSettled && !this.#hasBegun) this.#startDeadline();
  }

  /** Ends the fetch when nobody waits for it. That a response is nearly stored is no reason to go on. */
  abandonUnlessWanted(reason: Error): void {
    if (!this.#client && !this.#options.inBackground && !this.#owner.isAwaited) this.#giveUp(reason);
  }

  head(status: number, reason: string, fields: string[]): void {
    if (this.#isOver) return;
    this.#context.headCheck.assertSendable(status, reason, fields);
    this.#hasBegun = true;
    this.#cancelDeadline();
    this.#client?.tellOfAttempt(this.#exchange);
    const stale = this.#options.found.entry;
    if (status === 304 && stale) this.#validated(stale, fields);
    else if (status < 500 || !this.#serveStale(status)) this.#passOn(status, reason, fields);
  }

  content(chunk: Buffer): boolean {
    if (this.#isOver) return false;
    this.#record(chunk);
    const accepted = this.#client?.write(chunk) ?? true;
    // What is recorded is held anyway: a client that reads slowly does not keep it from the others.
    return accepted || this.#recorder.recording !== undefined;
  }

  flush(): void {
    this.#client?.flush();
  }

  interim(status: number, fields: FieldLines): void {
    this.#client?.interim(status, fields);
  }

  end(last: Buffer | undefined, trailers: Trailers): void {
    if (this.#isOver) return;
    this.#close();
    if (last) this.#record(last);
    this.#recorder.end();
    this.#settlement.nothing('unstorable');
    this.#dropClient()?.end(last, trailers);
  }

  abort(): void {
    if (this.#isOver) return;
    this.#close();
    const { recording } = this.#recorder;
    this.#recorder.giveUp();
    this.#settlement.nothing('failed');
    if (recording) this.#sendNotModified(recording);
    this.#dropClient()?.abort(this.#exchange);
  }

  onDrain(listener: () => void): void {
    this.#drainListener = listener;
  }

  offDrain(): void {
    this.#drainListener = undefined;
  }

  /** Called by the recorder, when the response was given whole. */
  recorded(recording: Recording): void {
    this.#settlement.recorded(recording);
    this.#sendNotModified(recording);
  }

  #passOn(status: number, reason: string, fields: string[]): void {
    const { request } = this.#options;
    const recorder = this.#recorder;
    recorder.head(status, fields);
    if (recorder.recording && !request.audienceFor(recorder.recording.terms.isShared)) recorder.giveUp();
    // A lack of room does not say what the next response will be like.
    if (recorder.lacksRoom) this.#settlement.nothing('failed');
    this.#settlement.begin(recorder.recording, status, recorder.fits);
    this.#client?.begin({ status, reason, fields }, recorder);
    this.#stopIfUseless();
  }

  #record(chunk: Buffer): void {
    const { recording } = this.#recorder;
    this.#recorder.content(chunk);
    // It may be larger than what is stored, or than the room that is left.
    if (!recording || this.#recorder.recording) return;
    this.#settlement.nothing(this.#recorder.lacksRoom ? 'failed' : 'unstorable');
    this.#sendNotModified(recording);
    this.#stopIfUseless();
  }

  #validated(stale: Entry, fields: FieldLines): void {
    const freshened = this.#settlement.validated(stale, fields);
    const client = this.#dropClient();
    if (freshened) client?.serve(freshened.entry, { status: 304, stored: freshened.stored });
    else client?.forward(this.#context.origin);
  }

  /** Serves the stale response instead of an error, where that is allowed. */
  #serveStale(status?: number): boolean {
    const { fallback } = this.#settlement;
    if (!fallback) return false;
    this.#settlement.staleIfError(fallback);
    this.#dropClient()?.serve(fallback, { status, detail: 'stale-if-error' });
    return true;
  }

  #failed(error: unknown): void {
    this.#cancelDeadline();
    this.#recorder.giveUp();
    this.#client?.tellOfAttempt(this.#exchange);
    if (error !== undefined && isFault(error) && this.#serveStale()) return;
    this.#settlement.nothing('failed');
    this.#dropClient()?.fail(error);
  }

  /** Whoever still waits gets `reason`, or a stale response. */
  #giveUp(reason: Error): void {
    this.#recorder.giveUp();
    this.#exchange.abort(reason);
    // A handler that heeds the abort has said so by now; another may never say anything.
    this.#failed(reason);
  }

  /** The client's own deadline ends with this one and replies, so that it is counted once and always. */
  #outOfTime(afterMs: number): void {
    this.#recorder.giveUp();
    this.#client?.tellOfAttempt(this.#exchange);
    this.#exchange.abort(new RequestTimeoutError(afterMs), 'settled');
    if (!this.#serveStale()) this.#settlement.nothing('failed');
  }

  /** Ends the fetch when no client reads its response, and it is not stored. */
  #stopIfUseless(): void {
    if (this.#client || this.#recorder.recording) return;
    // Not while the handler is still writing.
    process.nextTick(() => this.#giveUp(new ClientGoneError()));
  }

  #sendNotModified(recording: Omit<Recording, 'body'>): void {
    if (this.#client?.owesNotModified) this.#dropClient()?.notModified(recording);
  }

  /** The client that still waits: whoever drops it responds to it. */
  #dropClient(): FetchClient | undefined {
    const client = this.#client;
    this.#client = undefined;
    client?.leave();
    return client;
  }

  /** Bounds the time until the response begins. */
  #startDeadline(): void {
    const { clock } = this.#context;
    const leftMs = this.#options.request.leftMs(clock.now());
    if (leftMs === undefined || this.#cancelDeadline !== NOT_PLANNED) return;
    const forServiceMs = this.#settlement.fallback ? leftMs * TIME_FOR_SERVICE : leftMs;
    this.#cancelDeadline = clock.after(forServiceMs, () => this.#outOfTime(forServiceMs));
  }

  #close(): void {
    this.#isOver = true;
    // The handler has still to say what became of its attempt.
    process.nextTick(closeExchange, this.#exchange);
  }
}

function closeExchange(exchange: Exchange): void {
  exchange.closed();
}

/** Whether the service or the way to it has failed. For a client's own fault no stale response is served. */
function isFault(error: unknown): boolean {
  const status =
    typeof error === 'object' && error !== null && 'status' in error ? Number(error.status) : 500;
  return status >= 500;
}
