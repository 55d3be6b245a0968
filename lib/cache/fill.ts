import type { RequestHandler } from 'express';
import type { Cancel, Clock } from '../clock/clock.ts';
import { ClientGoneError } from '../exchange/errors.ts';
import { type Exchange, exchangeOf } from '../exchange/exchange.ts';
import { fieldsByName } from '../exchange/fields.ts';
import { RequestTimeoutError } from '../timeout/errors.ts';
import { beginAnswer, notModified } from './answer.ts';
import { validates, validators } from './conditional.ts';
import { type AnswerSink, type Detached, detach } from './detached.ts';
import { type Entries, entryOf, type Found } from './entries.ts';
import { type Entry, namedFields } from './entry.ts';
import { Recorder, type Recording } from './recorder.ts';
import { refreshed } from './refreshed.ts';
import { mayStandIn } from './reuse.ts';
import type { Forward } from './status.ts';
import type { Selecting } from './vary.ts';
import type { Visit } from './visit.ts';

/** Who could be given a stale answer instead of an error leaves the service nine tenths of the time. */
const TIME_FOR_SERVICE = 0.9;

/** What all fills of one cache share. */
export interface FillContext {
  /** What answers when the cache cannot. */
  readonly origin: RequestHandler;
  readonly entries: Entries;
  readonly clock: Clock;
  readonly defaultTtlMs: number;
  readonly maxBodyBytes: number;
  readonly staleIfErrorMs: number;
  readonly onError: (error: Error) => void;
}

/** An answer, and what the request said that it answers. */
export interface Shareable {
  readonly entry: Entry;
  readonly selecting: Selecting;
}

/** What a fill has come to, for those who waited for it. */
export type Landing =
  | ({ readonly kind: 'entry' } & Shareable)
  /** The service failed, and this stands in. */
  | ({ readonly kind: 'stand-in' } & Shareable)
  /** Nothing for others: each asks for itself. */
  | { readonly kind: 'nothing'; readonly because: Reason };

/** `unstorable`: it must not be stored, or is too large. `stale`: stored, and of no use without asking again. */
type Reason = 'unstorable' | 'stale' | 'failed';

export interface FillOptions {
  /** For whom it is begun. */
  readonly visit: Visit;
  readonly found: Found;
  readonly epoch: string;
  readonly reason: Forward;
  /** Whether nobody waits for its answer. */
  readonly inBackground: boolean;
  /** Called once. */
  readonly onLanded: (landing: Landing) => void;
  /** Whether anybody but the reader waits. */
  readonly isAwaited: () => boolean;
}

/**
 * One answer on its way from the service to the store, and past it to the one it was begun for. It belongs to no
 * connection: it goes on for as long as anybody waits for it.
 */
export class Fill implements AnswerSink {
  readonly #context: FillContext;
  readonly #options: FillOptions;
  readonly #requestedAtMs: number;
  readonly #recorder: Recorder;
  readonly #stale: Entry | undefined;
  readonly #detached: Detached;
  readonly #exchange: Exchange;
  /** For whom the answer is written as it comes; undefined once that client left or got something else. */
  #reader: Visit | undefined;
  /** The client has what is being stored, and is told so when that is done. */
  #owesNotModified = false;
  #landed = false;
  #cancelDeadline: Cancel = () => {};

  constructor(context: FillContext, options: FillOptions) {
    const { visit, found, inBackground } = options;
    const { clock, defaultTtlMs, maxBodyBytes } = context;
    this.#context = context;
    this.#options = options;
    this.#requestedAtMs = clock.now();
    this.#stale = found.entry;
    this.#reader = inBackground ? undefined : visit;
    this.#recorder = new Recorder({
      defaultTtlMs,
      maxBodyBytes,
      requestedAtMs: this.#requestedAtMs,
      now: () => clock.now(),
      onRecorded: (recording) => this.#recorded(recording),
    });
    const conditions = this.#stale ? validators(namedFields(this.#stale)) : [];
    this.#detached = detach(visit.req, visit.res, conditions, this);
    this.#exchange = inherited(visit.exchange, exchangeOf(this.#detached.res));
    // What nobody waits for is not part of the request's time.
    if (!inBackground) this.#exchange.laps = visit.exchange.laps;
  }

  start(): void {
    const { req, res } = this.#detached;
    const { origin, clock } = this.#context;
    const leftMs = this.#timeForServiceMs();
    if (leftMs !== undefined) {
      this.#cancelDeadline = clock.after(leftMs, () => this.abort(new RequestTimeoutError(leftMs)));
    }
    this.#reader?.res.on('drain', this.#onDrain);
    origin(req, res, (error?: unknown) => this.#failed(error));
  }

  /** The client for whom it was begun does not wait any more. */
  readerLeft(reason: Error): void {
    if (!this.#reader) return;
    this.#tellOfAttempt();
    this.#dropReader();
    this.abandonUnlessWanted(reason);
  }

  /** Ends the work when nobody waits for it; an answer that is nearly stored is no reason to go on. */
  abandonUnlessWanted(reason: Error): void {
    if (!this.#reader && !this.#options.inBackground && !this.#options.isAwaited()) this.abort(reason);
  }

  /** Whoever still waits gets `reason`, or what may stand in for an answer. */
  abort(reason: Error): void {
    this.#recorder.giveUp();
    this.#exchange.abort(reason);
    // An origin that heeds the signal has said so by now; another may never say anything.
    this.#failed(reason);
  }

  head(status: number, reason: string, fields: readonly string[]): void {
    this.#cancelDeadline();
    this.#tellOfAttempt();
    if (status === 304 && this.#stale) this.#validated(this.#stale, fields);
    else if (status < 500 || !this.#standIn(status)) this.#pass(status, reason, fields);
  }

  #pass(status: number, reason: string, fields: readonly string[]): void {
    this.#recorder.head(status, fields);
    const { recording } = this.#recorder;
    const isForStore = recording && this.#options.visit.audienceFor(recording.terms.isShared);
    if (!isForStore) this.#recorder.giveUp();
    // An error says nothing of what the next answer will be like.
    if (!isForStore) this.#land({ kind: 'nothing', because: status >= 500 ? 'failed' : 'unstorable' });
    else if (!this.#isFresh(recording)) this.#land({ kind: 'nothing', because: 'stale' });
    this.#begin(status, reason, fields);
    this.#stopIfUseless();
  }

  data(chunk: Buffer): boolean {
    const wasRecording = this.#recorder.recording;
    this.#recorder.data(chunk);
    if (wasRecording && !this.#recorder.recording) this.#outgrown(wasRecording);
    const accepted = !this.#reader || this.#owesNotModified || this.#reader.res.write(chunk);
    // What is recorded is held anyway: a client that reads slowly does not keep it from the others.
    return accepted || this.#recorder.recording !== undefined;
  }

  flush(): void {
    if (!this.#owesNotModified) this.#reader?.res.flushHeaders();
  }

  hints(hints: Record<string, string | string[]>): void {
    if (!this.#reader?.res.headersSent) this.#reader?.res.writeEarlyHints(hints);
  }

  end(trailers: readonly (readonly [string, string])[]): void {
    this.#recorder.end();
    this.#land({ kind: 'nothing', because: 'unstorable' });
    const reader = this.#dropReader();
    if (!reader) return;
    if (trailers.length > 0) reader.res.addTrailers(trailers as [string, string][]);
    reader.res.end();
  }

  cut(): void {
    const { recording } = this.#recorder;
    this.#recorder.giveUp();
    this.#land({ kind: 'nothing', because: 'failed' });
    if (recording && this.#owesNotModified) this.#payNotModified(recording);
    const reader = this.#dropReader();
    if (!reader) return;
    const { exchange, res } = reader;
    exchange.errorCode = this.#exchange.errorCode;
    exchange.failure = this.#exchange.failure;
    // To an HTTP/1.0 client the end of the connection may be the end of the answer: it needs a reset.
    if (res.req.httpVersion === '1.0') res.socket?.resetAndDestroy();
    res.destroy();
  }

  #begin(status: number, reason: string, fields: readonly string[]): void {
    const reader = this.#reader;
    if (!reader) return;
    const { recording, fits } = this.#recorder;
    reader.pronounce({ kind: 'forward', reason: this.#options.reason, stored: fits });
    this.#owesNotModified = recording !== undefined && reader.has(recording, this.#context.clock.now());
    if (!this.#owesNotModified) beginAnswer(reader.res, status, reason, fields);
  }

  #recorded(recording: Recording): void {
    const entry = this.#store(recording);
    this.#land(
      this.#isFresh(recording)
        ? { kind: 'entry', ...this.#shareable(entry) }
        : { kind: 'nothing', because: 'stale' },
    );
    if (this.#owesNotModified) this.#payNotModified(recording);
  }

  #store(recording: Recording): Entry {
    const { visit, found, epoch } = this.#options;
    const { entries, onError } = this.#context;
    const audience = visit.audienceFor(recording.terms.isShared) ?? { kind: 'anonymous' };
    const entry = entryOf(recording, audience, found.purgeVersion);
    if (visit.audienceFor(recording.terms.isShared)) {
      entries.store(entry, audience, epoch, visit.quest).catch(onError);
    }
    return entry;
  }

  /** The stored answer is good still: it is given, under the fields of the 304. */
  #validated(stale: Entry, fields: readonly string[]): void {
    const reader = this.#reader;
    if (!validates(fieldsByName(fields), namedFields(stale))) {
      this.#land({ kind: 'nothing', because: 'failed' });
      this.#dropReader();
      // It speaks of another representation: whoever waits asks in its own words.
      reader?.pronounce({ kind: 'forward', reason: this.#options.reason });
      if (reader) this.#context.origin(reader.req, reader.res, reader.next);
      return;
    }
    const { clock, defaultTtlMs } = this.#context;
    const nowMs = clock.now();
    const { terms, ...rest } = refreshed(stale, fields, {
      defaultTtlMs,
      requestedAtMs: this.#requestedAtMs,
      nowMs,
    });
    const entry = terms ? this.#store({ ...rest, terms }) : { ...stale, ...rest };
    const isFresh = terms !== undefined && this.#isFresh(entry);
    this.#land(
      isFresh ? { kind: 'entry', ...this.#shareable(entry) } : { kind: 'nothing', because: 'stale' },
    );
    const ttlMs = entry.generatedAtMs + entry.terms.lifetimeMs - nowMs;
    const { reason } = this.#options;
    this.#dropReader()?.give(entry, { kind: 'forward', reason, status: 304, ttlMs, stored: isFresh }, nowMs);
  }

  /** Gives the stale answer instead of an error, where that is allowed. */
  #standIn(status?: number): boolean {
    const stale = this.#stale;
    if (!stale) return false;
    const { clock, staleIfErrorMs } = this.#context;
    const nowMs = clock.now();
    if (!mayStandIn(stale.terms, nowMs - stale.generatedAtMs, staleIfErrorMs)) return false;
    this.#land({ kind: 'stand-in', ...this.#shareable(stale) });
    const ttlMs = stale.generatedAtMs + stale.terms.lifetimeMs - nowMs;
    const { reason } = this.#options;
    this.#dropReader()?.give(
      stale,
      { kind: 'forward', reason, status, ttlMs, detail: 'stale-if-error' },
      nowMs,
    );
    return true;
  }

  #failed(error: unknown): void {
    this.#cancelDeadline();
    this.#tellOfAttempt();
    if (error !== undefined && isFault(error) && this.#standIn()) return;
    this.#land({ kind: 'nothing', because: 'failed' });
    const reader = this.#dropReader();
    if (!reader) return;
    reader.pronounce({ kind: 'forward', reason: this.#options.reason });
    reader.next(error);
  }

  /** It is larger than what is stored. */
  #outgrown(recording: Omit<Recording, 'body'>): void {
    this.#land({ kind: 'nothing', because: 'unstorable' });
    if (this.#owesNotModified) this.#payNotModified(recording);
    this.#stopIfUseless();
  }

  /** Nobody reads it, and it is not stored. */
  #stopIfUseless(): void {
    if (this.#reader || this.#recorder.recording) return;
    // Not in the midst of what tells of it.
    process.nextTick(() => this.abort(new ClientGoneError()));
  }

  #payNotModified(recording: Omit<Recording, 'body'>): void {
    this.#owesNotModified = false;
    const reader = this.#dropReader();
    if (reader) notModified(recording, reader.res, this.#context.clock.now());
  }

  #shareable(entry: Entry): Shareable {
    return { entry, selecting: this.#options.visit.quest.selecting };
  }

  #land(landing: Landing): void {
    if (this.#landed) return;
    this.#landed = true;
    this.#options.onLanded(landing);
  }

  #dropReader(): Visit | undefined {
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.res.off('drain', this.#onDrain);
    return reader;
  }

  /** The access line names the replica that was asked. */
  #tellOfAttempt(): void {
    if (this.#reader) this.#reader.exchange.attempt = this.#exchange.attempt;
  }

  #isFresh({ terms, generatedAtMs }: Pick<Recording, 'terms' | 'generatedAtMs'>): boolean {
    return generatedAtMs + terms.lifetimeMs > this.#context.clock.now();
  }

  #timeForServiceMs(): number | undefined {
    const { clock, staleIfErrorMs } = this.#context;
    const nowMs = clock.now();
    const leftMs = this.#options.visit.leftMs(nowMs);
    const stale = this.#stale;
    const hasStandIn = stale && mayStandIn(stale.terms, nowMs - stale.generatedAtMs, staleIfErrorMs);
    return leftMs === undefined || !hasStandIn ? leftMs : leftMs * TIME_FOR_SERVICE;
  }

  readonly #onDrain = (): void => {
    this.#detached.res.emit('drain');
  };
}

/** The service or the way to it failed; what is the client's fault is no reason for a stale answer. */
function isFault(error: unknown): boolean {
  const status =
    typeof error === 'object' && error !== null && 'status' in error ? Number(error.status) : 500;
  return status >= 500;
}

/** The fill speaks for whoever began it. */
function inherited(from: Exchange, to: Exchange): Exchange {
  const { requestId, service, prefix, upstreamTarget, identity, deadlineAtMs, trace } = from;
  return Object.assign(to, { requestId, service, prefix, upstreamTarget, identity, deadlineAtMs, trace });
}
