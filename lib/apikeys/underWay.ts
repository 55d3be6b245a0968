import type { Duplex } from 'node:stream';
import type { Response } from 'express';
import { type Cancel, type Clock, systemClock } from '../clock/clock.ts';
import { type Exchange, exchangeOf } from '../exchange/exchange.ts';
import type { StoreUnavailableError } from '../store/store.ts';
import type { ApiKeys } from './apiKeys.ts';
import type { ApiKeyError } from './errors.ts';
import type { KeyIndex } from './keyIndex.ts';

const LOOK_EVERY_MS = 500;

export interface KeysUnderWayOptions {
  readonly keys: ApiKeys;
  readonly clock?: Clock;
}

interface UnderWay {
  readonly digest: string;
  readonly res: Response;
  readonly exchange: Exchange;
  readonly connection: Duplex;
}

/**
 * Requests that were let in with an API key and are not over. When their key is revoked, rotated without grace, or has
 * expired, within a second their WebSockets are closed and responses that have begun are cut off, streams among them. What has
 * no response yet goes on until it has one: the service may have done already what it was asked for. While the store cannot say,
 * nothing is cut.
 */
export class KeysUnderWay {
  readonly #keys: ApiKeys;
  readonly #clock: Clock;
  readonly #all = new Set<UnderWay>();
  #cancel: Cancel | undefined;

  constructor({ keys, clock = systemClock }: Readonly<KeysUnderWayOptions>) {
    this.#keys = keys;
    this.#clock = clock;
  }

  /** @param digest of the key that the request was let in with */
  add(res: Response, digest: string): void {
    const exchange = exchangeOf(res);
    const each = { digest, res, exchange, connection: res.req.socket };
    this.#all.add(each);
    exchange.onClose(() => this.#closed(each));
    this.#cancel ??= this.#lookLater();
  }

  get size(): number {
    return this.#all.size;
  }

  /** The response is over; of an upgraded connection that was only the handshake. */
  #closed(each: UnderWay): void {
    const remove = () => this.#all.delete(each);
    if (each.exchange.upgraded && !each.connection.destroyed) each.connection.once('close', remove);
    else remove();
  }

  #lookLater(): Cancel {
    return this.#clock.after(LOOK_EVERY_MS, () => {
      this.#cancel = this.#all.size > 0 ? this.#lookLater() : undefined;
      if (this.#all.size > 0) this.#look();
    });
  }

  #look(): void {
    const known = this.#keys.knownIndex();
    if (known) this.#cutThoseEnded(known);
    else
      this.#keys.index().then(
        (index) => this.#cutThoseEnded(index),
        // The store is away, which is logged elsewhere. The requests were let in, so they stay.
        () => {},
      );
  }

  #cutThoseEnded(index: KeyIndex): void {
    for (const each of this.#all) {
      const problem = this.#keys.problemOf(each.digest, index);
      if (problem) cut(each, problem);
    }
  }
}

function cut({ res, exchange, connection }: UnderWay, problem: ApiKeyError | StoreUnavailableError): void {
  if (exchange.upgraded) connection.destroy();
  else if (res.headersSent && !res.writableEnded) {
    exchange.errorCode = problem.code;
    exchange.failure = problem;
    res.destroy();
  }
}
