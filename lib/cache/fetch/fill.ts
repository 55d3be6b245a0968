import type { Request, RequestHandler, Response } from 'express';
import type { Cancel } from '../../clock/clock.ts';
import { ClientGoneError } from '../../exchange/errors.ts';
import { Exchange } from '../../exchange/exchange.ts';
import { type FieldLines, fieldsByName } from '../../http/fields.ts';
import { isFieldValue } from '../../http1/grammar.ts';
import type { LineCheck } from '../../http1/lineCheck.ts';
import type { ResponseSink, Trailers } from '../../response/sink.ts';
import { RequestTimeoutError } from '../../timeout/errors.ts';
import { validates, validators } from '../rules/conditional.ts';
import { mayStandIn } from '../rules/reuse.ts';
import type { Forward } from '../rules/status.ts';
import { type Entries, entryOf, type Found } from '../stored/entries.ts';
import { type Entry, namedFields } from '../stored/entry.ts';
import type { Epoch } from '../stored/epochs.ts';
import { audienceText, EVERYONE } from '../stored/key.ts';
import { Recorder, type RecorderContext, type RecorderListener, type Recording } from '../stored/recorder.ts';
import { refreshed } from '../stored/refreshed.ts';
import type { Landing } from './landing.ts';
import { Reader } from './reader.ts';
import type { Visit } from './visit.ts';
import { wholeRequest } from './wholeRequest.ts';

/** Who could be given a stale answer instead of an error leaves the service nine tenths of the time. */
const TIME_FOR_SERVICE = 0.9;
/** How long others wait for the end of an answer that does not say how long it is: it may have none. */
const WAIT_FOR_END_MS = 1_000;
const NO_FIELDS: readonly string[] = [];
const NOT_PLANNED: Cancel = () => {};

/** What all fills of one cache share. */
export interface FillContext extends RecorderContext {
  /** What answers when the cache cannot. */
  readonly origin: RequestHandler;
  readonly entries: Entries;
  /** Remembers which field lines can be sent. */
  readonly lineCheck: LineCheck;
  readonly staleIfErrorMs: number;
  readonly onError: (error: Error) => void;
}

export interface FillOptions {
  /** For whom it is begun. */
  readonly visit: Visit;
  readonly found: Found;
  readonly epoch: Epoch;
  readonly reason: Forward;
  /** Whether nobody waits for its answer. */
  readonly inBackground: boolean;
}

/** Whom a fill works for. */
export interface FillOwner {
  /** Whether anybody waits beside the one it was begun for. */
  readonly isAwaited: boolean;
  /** Takes what it comes to. */
  land(landing: Landing): void;
  /** The key of the lease, if it is held: whoever takes it gives it back. */
  handOverLease(): string | undefined;
  giveBack(leaseKey: string | undefined): void;
}

/**
 * One answer on its way from the service to the store, and past it to the one it was begun for. It belongs to no
 * connection: it goes on for as long as anybody waits for it.
 */
export class Fill implements ResponseSink, RecorderListener {
  readonly #context: FillContext;
  readonly #options: FillOptions;
  readonly #flight: FillOwner;
  readonly #requestedAtMs: number;
  readonly #recorder: Recorder;
  readonly #stale: Entry | undefined;
  readonly #req: Request;
  readonly #exchange: Exchange;
  /** For whom the answer is written as it comes; undefined once that client left or got something else. */
  #reader: Reader | undefined;
  #landed = false;
  #hasBegun = false;
  #isOver = false;
  /** Told when more content may follow. */
  #onDrain: (() => void) | undefined;
  #cancelDeadline = NOT_PLANNED;
  #cancelWait = NOT_PLANNED;

  constructor(context: FillContext, options: FillOptions, flight: FillOwner) {
    const { visit, found, reason, inBackground } = options;
    const { clock } = context;
    this.#context = context;
    this.#options = options;
    this.#flight = flight;
    this.#requestedAtMs = clock.now();
    this.#stale = found.entry;
    this.#recorder = new Recorder(context, this.#requestedAtMs, this);
    const conditions = this.#stale ? validators(namedFields(this.#stale)) : NO_FIELDS;
    this.#req = wholeRequest(visit.req, conditions);
    this.#exchange = inherited(visit.exchange, new Exchange(this));
    if (!inBackground) {
      // What nobody waits for is not part of the request's time.
      this.#exchange.phases = visit.exchange.phases;
      this.#reader = new Reader({ visit, reason, clock, onDrain: () => this.#onDrain?.() });
    }
  }

  start(): void {
    const { origin } = this.#context;
    // While somebody reads, their own deadline ends it.
    if (!this.#reader || this.#hasStandIn()) this.#startDeadline();
    try {
      origin(this.#req, unconnected(this.#req, this.#exchange), (error?: unknown) => this.#failed(error));
    } catch (error) {
      this.#failed(error);
    }
  }

  /** The client for whom it was begun does not wait any more. */
  readerLeft(reason: Error): void {
    if (!this.#reader) return;
    this.#reader.tellOfAttempt(this.#exchange);
    this.#dropReader();
    this.abandonUnlessWanted(reason);
    if (!this.#landed && !this.#hasBegun) this.#startDeadline();
  }

  /** Ends the work when nobody waits for it; an answer that is nearly stored is no reason to go on. */
  abandonUnlessWanted(reason: Error): void {
    if (!this.#reader && !this.#options.inBackground && !this.#flight.isAwaited) this.giveUp(reason);
  }

  /** Whoever still waits gets `reason`, or what may stand in for an answer. */
  giveUp(reason: Error): void {
    this.#recorder.giveUp();
    this.#exchange.abort(reason);
    // An origin that heeds the signal has said so by now; another may never say anything.
    this.#failed(reason);
  }

  /** The reader's own deadline ends with this one and answers it, so that it is counted once and always. */
  #outOfTime(afterMs: number): void {
    this.#recorder.giveUp();
    this.#reader?.tellOfAttempt(this.#exchange);
    this.#exchange.abort(new RequestTimeoutError(afterMs), 'settled');
    if (!this.#standIn()) this.#land({ kind: 'nothing', because: 'failed' });
  }

  head(status: number, reason: string, fields: string[]): void {
    if (this.#isOver) return;
    assertSendable(status, reason, fields, this.#context.lineCheck);
    this.#hasBegun = true;
    this.#cancelDeadline();
    this.#reader?.tellOfAttempt(this.#exchange);
    if (status === 304 && this.#stale) this.#validated(this.#stale, fields);
    else if (status < 500 || !this.#standIn(status)) this.#pass(status, reason, fields);
  }

  #pass(status: number, reason: string, fields: readonly string[]): void {
    this.#recorder.head(status, fields);
    const { recording } = this.#recorder;
    const isForStore = recording && this.#options.visit.audienceFor(recording.terms.isShared);
    if (!isForStore) this.#recorder.giveUp();
    // Neither an error nor a lack of room says what the next answer will be like.
    const isNoHabit = status >= 500 || this.#recorder.lacksRoom;
    if (!isForStore) this.#land({ kind: 'nothing', because: isNoHabit ? 'failed' : 'unstorable' });
    else if (!this.#isFresh(recording)) this.#land({ kind: 'nothing', because: 'stale' });
    else if (!this.#recorder.fits) this.#landBeforeEnd();
    this.#reader?.begin({ status, reason, fields }, this.#recorder);
    this.#stopIfUseless();
  }

  /** Lets those go who wait for an answer that streams on. It is stored all the same, should it end. */
  #landBeforeEnd(): void {
    const land = () => this.#land({ kind: 'nothing', because: 'unstorable' });
    this.#cancelWait = this.#context.clock.after(WAIT_FOR_END_MS, land);
  }

  content(chunk: Buffer): boolean {
    if (this.#isOver) return false;
    this.#record(chunk);
    const accepted = this.#reader?.write(chunk) ?? true;
    // What is recorded is held anyway: a client that reads slowly does not keep it from the others.
    return accepted || this.#recorder.recording !== undefined;
  }

  #record(chunk: Buffer): void {
    const wasRecording = this.#recorder.recording;
    this.#recorder.content(chunk);
    if (wasRecording && !this.#recorder.recording) this.#outgrown(wasRecording);
  }

  flush(): void {
    this.#reader?.flush();
  }

  interim(status: number, fields: FieldLines): void {
    this.#reader?.interim(status, fields);
  }

  end(last: Buffer | undefined, trailers: Trailers): void {
    if (this.#isOver) return;
    this.#close();
    if (last) this.#record(last);
    this.#recorder.end();
    this.#land({ kind: 'nothing', because: 'unstorable' });
    this.#dropReader()?.end(last, trailers);
  }

  abort(): void {
    if (this.#isOver) return;
    this.#close();
    const { recording } = this.#recorder;
    this.#recorder.giveUp();
    this.#land({ kind: 'nothing', because: 'failed' });
    if (recording) this.#payNotModified(recording);
    this.#dropReader()?.cut(this.#exchange);
  }

  onDrain(listener: () => void): void {
    this.#onDrain = listener;
  }

  offDrain(): void {
    this.#onDrain = undefined;
  }

  #close(): void {
    this.#isOver = true;
    // Whoever has written the end is still to say what became of the try.
    process.nextTick(closeExchange, this.#exchange);
  }

  recorded(recording: Recording): void {
    const entry = this.#store(recording);
    this.#land(
      entry && this.#isFresh(entry) ? this.#landingOf(entry) : { kind: 'nothing', because: 'stale' },
    );
    this.#payNotModified(recording);
  }

  /** Undefined when it is for nobody but the client it was asked for by. */
  #store(recording: Recording): Entry | undefined {
    const { visit, found, epoch } = this.#options;
    const { entries, onError } = this.#context;
    const audience = visit.audienceFor(recording.terms.isShared);
    if (!audience) return undefined;
    const entry = entryOf(recording, audience, found.purgeVersion);
    const lease = this.#flight.handOverLease();
    entries.store(entry, audience, epoch, visit.quest, lease).catch((error) => {
      onError(error);
      this.#flight.giveBack(lease);
    });
    return entry;
  }

  /** The stored answer is good still: it is given, under the fields of the 304. */
  #validated(stale: Entry, fields: readonly string[]): void {
    if (!validates(fieldsByName(fields), namedFields(stale))) {
      this.#land({ kind: 'nothing', because: 'failed' });
      // It speaks of another representation: whoever waits asks in its own words.
      this.#dropReader()?.ask(this.#context.origin);
      return;
    }
    const { clock, policy } = this.#context;
    const { terms, ...rest } = refreshed(stale, fields, {
      policy,
      requestedAtMs: this.#requestedAtMs,
      nowMs: clock.now(),
    });
    // A 304 never widens for whom the stored response is: that others may have it, a whole response must say.
    const isShared = terms?.isShared === true && stale.audience === audienceText(EVERYONE);
    const entry = terms && this.#store({ ...rest, terms: { ...terms, isShared } });
    const isFresh = entry !== undefined && this.#isFresh(entry);
    this.#land(isFresh ? this.#landingOf(entry) : { kind: 'nothing', because: 'stale' });
    const given = entry ?? { ...stale, ...rest, terms: terms ?? stale.terms };
    this.#dropReader()?.give(given, { status: 304, stored: isFresh });
  }

  /** Gives the stale answer instead of an error, where that is allowed. */
  #standIn(status?: number): boolean {
    const stale = this.#stale;
    if (!stale) return false;
    const { clock, staleIfErrorMs } = this.#context;
    const nowMs = clock.now();
    if (!mayStandIn(stale.terms, nowMs - stale.generatedAtMs, staleIfErrorMs)) return false;
    this.#land({ ...this.#landingOf(stale), kind: 'stand-in' });
    this.#dropReader()?.give(stale, { status, detail: 'stale-if-error' });
    return true;
  }

  #failed(error: unknown): void {
    this.#cancelDeadline();
    this.#recorder.giveUp();
    this.#reader?.tellOfAttempt(this.#exchange);
    if (error !== undefined && isFault(error) && this.#standIn()) return;
    this.#land({ kind: 'nothing', because: 'failed' });
    this.#dropReader()?.fail(error);
  }

  /** It is larger than what is stored, or than the room that there is. */
  #outgrown(recording: Omit<Recording, 'body'>): void {
    this.#land({ kind: 'nothing', because: this.#recorder.lacksRoom ? 'failed' : 'unstorable' });
    this.#payNotModified(recording);
    this.#stopIfUseless();
  }

  /** Nobody reads it, and it is not stored. */
  #stopIfUseless(): void {
    if (this.#reader || this.#recorder.recording) return;
    // Not in the midst of what tells of it.
    process.nextTick(() => this.giveUp(new ClientGoneError()));
  }

  #payNotModified(recording: Omit<Recording, 'body'>): void {
    if (this.#reader?.owesNotModified) this.#dropReader()?.notModified(recording);
  }

  #landingOf(entry: Entry): Landing & { readonly kind: 'entry' } {
    return { kind: 'entry', entry, selecting: this.#options.visit.quest.selecting };
  }

  #land(landing: Landing): void {
    if (this.#landed) return;
    this.#landed = true;
    this.#cancelWait();
    this.#flight.land(landing);
  }

  /** The client that was still to be answered: whoever drops it answers it. */
  #dropReader(): Reader | undefined {
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.leave();
    return reader;
  }

  #isFresh({ terms, generatedAtMs }: Pick<Recording, 'terms' | 'generatedAtMs'>): boolean {
    return generatedAtMs + terms.lifetimeMs > this.#context.clock.now();
  }

  /** Bounds the time until the answer begins. */
  #startDeadline(): void {
    const { clock } = this.#context;
    const leftMs = this.#options.visit.leftMs(clock.now());
    if (leftMs === undefined || this.#cancelDeadline !== NOT_PLANNED) return;
    const forServiceMs = this.#hasStandIn() ? leftMs * TIME_FOR_SERVICE : leftMs;
    this.#cancelDeadline = clock.after(forServiceMs, () => this.#outOfTime(forServiceMs));
  }

  #hasStandIn(): boolean {
    const { clock, staleIfErrorMs } = this.#context;
    const stale = this.#stale;
    return stale !== undefined && mayStandIn(stale.terms, clock.now() - stale.generatedAtMs, staleIfErrorMs);
  }
}

/** The service or the way to it failed; what is the client's fault is no reason for a stale answer. */
function isFault(error: unknown): boolean {
  const status =
    typeof error === 'object' && error !== null && 'status' in error ? Number(error.status) : 500;
  return status >= 500;
}

/** What the handlers behind the cache get for a response. They ask it whose exchange it is, and write to that. */
function unconnected(req: Request, exchange: Exchange): Response {
  return { req, locals: { gateway: exchange } } as unknown as Response;
}

/** Throws where no client could be sent such a head: it must not be stored either. */
function assertSendable(status: number, reason: string, fields: FieldLines, check: LineCheck): void {
  if (status < 100 || status > 999) throw new RangeError(`status ${status}: expected 100..999`);
  if (!isFieldValue(reason)) throw new TypeError('the reason phrase has a character that cannot be sent');
  const at = check.firstBad(fields);
  if (at !== -1) throw new TypeError(`field line ${Math.floor(at / 2)} cannot be sent`);
}

function closeExchange(exchange: Exchange): void {
  exchange.closed();
}

/** The fill speaks for whoever began it. */
function inherited(from: Exchange, to: Exchange): Exchange {
  to.requestId = from.requestId;
  to.service = from.service;
  to.prefix = from.prefix;
  to.upstreamTarget = from.upstreamTarget;
  to.identity = from.identity;
  to.admission = from.admission;
  to.content = from.content;
  to.deadlineAtMs = from.deadlineAtMs;
  // The service is called for this request, if for several others as well.
  to.trace = from.joinTrace();
  return to;
}
