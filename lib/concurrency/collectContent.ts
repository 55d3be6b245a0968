import type { Request, RequestHandler } from 'express';
import { type Clock, systemClock } from '../clock/clock.ts';
import type { CallerOf } from '../exchange/caller.ts';
import { type Exchange, exchangeOf, nextWhileDue } from '../exchange/exchange.ts';
import { hasContent } from '../http/content.ts';
import { BodyTooLargeError } from '../proxy/errors.ts';
import { assertWhole } from '../timeout/assertWhole.ts';
import { Deadlines } from '../timeout/deadlines.ts';
import { UploadStalledError } from '../timeout/errors.ts';
import { listener } from '../util/listener.ts';
import { Collections } from './collections.ts';
import { refusalsOf } from './errors.ts';
import { isPermit, type Permit, type Permits, type Refusal } from './permits.ts';

/** The first size of the buffer, which doubles. Content is copied: a chunk may be a view into 64 KiB of a socket's. */
const FIRST_BYTES = 1024;

export interface CollectContentOptions {
  /** Whether a request's content is collected. Default: each one's. */
  readonly appliesTo?: (req: Request) => boolean;
  /** How many requests may have content in memory at a time: together at most `maxBytes` times as much. */
  readonly permits: Permits;
  /** All content that is being collected under these permits. Default: that of this middleware alone. */
  readonly underWay?: Collections;
  /** Largest content in bytes, 1..2147483647; a request with more gets `BodyTooLargeError`. */
  readonly maxBytes: number;
  /** Time in which all of it must have arrived, in milliseconds, 1..2147483647; after it `UploadStalledError`. */
  readonly timeoutMs: number;
  /** The caller for whom a request is counted. Default: one caller for all. */
  readonly callerOf?: CallerOf;
  /** Called for each request that is refused. */
  readonly onLimitReached?: () => void;
  readonly clock?: Clock;
}

/**
 * Waits until a request's content has arrived before anything else happens to the request, so that a client that sends it
 * slowly holds no permit of a service meanwhile. The content is in `exchange.content` then, and is forwarded from there.
 *
 * When a caller has its share of `permits`, its oldest request whose content is still arriving is refused, and the new one
 * gets the permit: several users behind one address may be one caller, and an honest user's content arrives at once.
 */
export function collectContent(options: Readonly<CollectContentOptions>): RequestHandler {
  const { appliesTo = () => true, permits, maxBytes, timeoutMs, callerOf = () => '' } = options;
  const { underWay = new Collections(), clock = systemClock } = options;
  const onLimitReached = listener(options.onLimitReached);
  assertWhole('collectContent: maxBytes', maxBytes);
  assertWhole('collectContent: timeoutMs', timeoutMs);
  const deadlines = new Deadlines(timeoutMs, clock);
  const refusals = refusalsOf('content', permits);

  function enter(caller: string): Permit | Refusal {
    const given = permits.tryAcquire(caller);
    if (given !== 'share' || !underWay.endOldest(caller, refusals.share)) return given;
    onLimitReached();
    return permits.tryAcquire(caller);
  }

  return function collectContentMiddleware(req, res, next) {
    if (!appliesTo(req) || !hasContent(req)) return next();
    if (Number(req.headers['content-length']) > maxBytes) return next(new BodyTooLargeError(maxBytes));
    const caller = callerOf(req, res);
    const permit = enter(caller);
    if (!isPermit(permit)) {
      onLimitReached();
      return next(refusals[permit]);
    }
    const exchange = exchangeOf(res);
    // The permit is held until the request is over, because the content stays in memory for so long.
    exchange.onClose(() => {
      permit.release();
      exchange.content = undefined;
    });
    const onSettled = nextWhileDue(res, next);
    const collection = new Collection(req, exchange, { maxBytes, permit, onSettled });
    const leave = underWay.add(caller, collection);
    const place = deadlines.enterNow(() => collection.fail(new UploadStalledError(timeoutMs)));
    collection.endWith(() => {
      leave();
      place.leave();
    });
  };
}

interface CollectionOptions {
  readonly maxBytes: number;
  readonly permit: Permit;
  /** Called once: the content is there, or an error says why it is not. */
  readonly onSettled: (error?: unknown) => void;
}

/** Collects the content of one request. */
class Collection {
  readonly #req: Request;
  readonly #exchange: Exchange;
  readonly #options: CollectionOptions;
  #buffer = Buffer.alloc(0);
  #bytes = 0;
  #isOver = false;
  #cancel: () => void = () => {};

  constructor(req: Request, exchange: Exchange, options: CollectionOptions) {
    this.#req = req;
    this.#exchange = exchange;
    this.#options = options;
    exchange.onAbort(this.fail);
    req.on('data', this.#onData).on('end', this.#onEnd);
  }

  /** Sets what is to be called at the end. */
  endWith(cancel: () => void): void {
    this.#cancel = cancel;
  }

  makeRoom(error: Error): void {
    this.#options.permit.release();
    this.fail(error);
  }

  readonly fail = (error: Error): void => {
    if (this.#isOver) return;
    this.#close();
    // The rest is read and dropped, so that the client can read the reply.
    this.#req.resume();
    this.#options.onSettled(error);
  };

  readonly #onData = (chunk: Buffer): void => {
    const bytes = this.#bytes + chunk.length;
    if (bytes > this.#options.maxBytes) {
      this.fail(new BodyTooLargeError(this.#options.maxBytes));
      return;
    }
    if (bytes > this.#buffer.length) this.#grow(bytes);
    chunk.copy(this.#buffer, this.#bytes);
    this.#bytes = bytes;
  };

  #grow(bytes: number): void {
    const wanted = Math.max(FIRST_BYTES, bytes, this.#buffer.length * 2);
    const larger = Buffer.allocUnsafeSlow(Math.min(wanted, this.#options.maxBytes));
    this.#buffer.copy(larger);
    this.#buffer = larger;
  }

  readonly #onEnd = (): void => {
    this.#close();
    this.#exchange.content = this.#buffer.subarray(0, this.#bytes);
    this.#options.onSettled();
  };

  #close(): void {
    this.#isOver = true;
    this.#cancel();
    this.#req.off('data', this.#onData).off('end', this.#onEnd);
  }
}
