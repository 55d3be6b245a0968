import type { Request, RequestHandler } from 'express';
import { type Clock, systemClock } from '../clock/clock.ts';
import { type Exchange, exchangeOf } from '../exchange/exchange.ts';
import { hasContent } from '../http/content.ts';
import { fieldValue } from '../http/fields.ts';
import type { ReplicaPool } from '../loadbalancer/pool.ts';
import type { Replica } from '../loadbalancer/replica.ts';
import type { RequestFields } from '../proxy/request/requestFields.ts';
import type { Transport } from '../proxy/transport.ts';
import { listener } from '../util/listener.ts';
import { ContentCopy, type NoCopy } from './contentCopy.ts';
import { KnownContent, MirroredCall, type Sent } from './mirroredCall.ts';
import type { MirrorRoom } from './mirrorRoom.ts';

/** What became of a copy. `busy`: too many are under way, or hold too much content. `no_replica`: nobody can take it. */
export type MirrorResult = Sent | NoCopy | 'no_replica';

/** All of them. */
export const MIRROR_RESULTS: readonly MirrorResult[] = [
  'completed',
  'error',
  'cut',
  'timeout',
  'failed',
  'too_large',
  'busy',
  'abandoned',
  'no_replica',
];

export interface MirrorOptions {
  /** Replicas of the service that gets the copies. */
  readonly pool: ReplicaPool;
  readonly transport: Transport;
  /** Makes the fields of a copy. */
  readonly fields: RequestFields;
  /** What goes before every path that the service is asked for: `/shop`. Default ''. */
  readonly basePath?: string;
  /** Which part of the requests is copied, in percent, 0 to 100. Each is drawn by itself. */
  readonly percent: number;
  /** The methods whose requests are copied. Default: all. */
  readonly methods?: ReadonlySet<string> | undefined;
  /** Requests with more content are not copied, in bytes. */
  readonly maxBodyBytes: number;
  /** How much of a response is read at most, in bytes. */
  readonly maxResponseBytes: number;
  /** Longest time from sending a copy to the end of its response, in milliseconds, 1..2147483647. */
  readonly timeoutMs: number;
  readonly room: MirrorRoom;
  /** Called for each copy once, when it is known what became of it. */
  readonly onResult?: (result: MirrorResult, error: Error | undefined) => void;
  readonly random?: () => number;
  readonly clock?: Clock;
}

/**
 * Sends a copy of requests to another service as well, and drops its responses. The client never waits for a copy: it is begun when
 * the request itself is on its way, and given up whenever it would take more than it may of time, memory or places.
 *
 * Put it in front of the load balancer and of what tries again, so that each request is copied once, and behind the cache, so that
 * what is answered from there is not copied. Nor is a request that the load balancer refuses because no replica may have it.
 *
 * A copy is never sent twice. It counts as load of its replica, so that users' requests go to others. It goes only to replicas
 * whose breaker is closed, and tells breakers nothing; it takes no permit either. Requests to upgrade their connection are not
 * copied.
 *
 * Copies of requests that change something change it there as well, unless that service heeds `X-Mirrored`.
 */
export function mirror(options: Readonly<MirrorOptions>): RequestHandler {
  const mirrored = new Mirror(options);
  return function mirrorMiddleware(req, res, next) {
    const exchange = exchangeOf(res);
    if (!mirrored.isCopied(req, exchange)) return next();
    const { content } = exchange;
    if (content === undefined && hasContent(req)) {
      mirrored.copyContent(req, exchange);
      return next();
    }
    next();
    // What was refused since no replica may have it now is not on its way.
    if (exchange.attempt) mirrored.sendLater(req, exchange, content);
  };
}

class Mirror {
  readonly #options: Readonly<MirrorOptions>;
  readonly #onResult: (result: MirrorResult, error?: Error) => void;
  readonly #random: () => number;
  readonly #clock: Clock;

  constructor(options: Readonly<MirrorOptions>) {
    this.#options = options;
    this.#onResult = listener(options.onResult);
    this.#random = options.random ?? Math.random;
    this.#clock = options.clock ?? systemClock;
  }

  isCopied({ method }: Request, { upgradeHead }: Exchange): boolean {
    const { methods, percent } = this.#options;
    if (upgradeHead !== undefined || (methods && !methods.has(method))) return false;
    return percent >= 100 || this.#random() * 100 < percent;
  }

  /** Copies content while it is read for the service, and sends the copy when it is whole. */
  copyContent(req: Request, exchange: Exchange): void {
    const { maxBodyBytes, room } = this.#options;
    const lengthBytes = lengthOf(req);
    if (lengthBytes !== undefined && lengthBytes > maxBodyBytes) {
      this.#onResult('too_large');
      return;
    }
    const copy = new ContentCopy({
      maxBytes: maxBodyBytes,
      lengthBytes,
      held: room.held,
      onWhole: (content) => this.sendLater(req, exchange, content),
      onNone: (why) => this.#onResult(why),
    });
    exchange.contentObserver = copy;
    exchange.onClose(() => copy.giveUp('abandoned'));
  }

  /** Sends a copy once the request itself has done what it has to do in this turn of the event loop. */
  sendLater(req: Request, exchange: Exchange, content: Buffer | undefined): void {
    if (content && content.length > this.#options.maxBodyBytes) this.#onResult('too_large');
    else setImmediate(this.#send, req, exchange, content);
  }

  readonly #send = (req: Request, exchange: Exchange, content: Buffer | undefined): void => {
    const { room, pool, timeoutMs, maxResponseBytes } = this.#options;
    // What was collected before is held by whoever has collected it.
    const heldBytes = content === exchange.content ? 0 : (content?.length ?? 0);
    if (!room.enter()) {
      room.held.giveBack(heldBytes);
      this.#onResult('busy');
      return;
    }
    const replica = pool.take(isAvailable);
    const onOver = (result: MirrorResult, error?: Error) => {
      room.leave();
      room.held.giveBack(heldBytes);
      if (replica) pool.release(replica);
      this.#onResult(result, error);
    };
    if (!replica) {
      onOver('no_replica');
      return;
    }
    const call = new MirroredCall({ timeoutMs, maxResponseBytes, clock: this.#clock, onOver });
    try {
      this.#options.transport.send(replica.url, this.#requestFor(req, exchange, content), call);
    } catch (error) {
      call.onResponseError(undefined, error as Error);
    }
  };

  #requestFor(req: Request, exchange: Exchange, content: Buffer | undefined) {
    const { fields, basePath = '' } = this.#options;
    return {
      method: req.method,
      path: basePath + (exchange.upstreamTarget || req.url),
      headers: withLength(fields(req, exchange, this.#clock.now()), content),
      body: content && content.length > 0 ? new KnownContent(content) : null,
    };
  }
}

/** A copy must not be the trial of a breaker. */
function isAvailable({ admission }: Replica): boolean {
  return admission === 'all';
}

function lengthOf({ headers }: Request): number | undefined {
  const length = headers['content-length'];
  return length === undefined ? undefined : Number(length);
}

/** Content that has come in chunks is sent with its length. */
function withLength(fields: string[], content: Buffer | undefined): string[] {
  if (content && content.length > 0 && fieldValue(fields, 'content-length') === undefined) {
    fields.push('Content-Length', String(content.length));
  }
  return fields;
}
