import type { LookupFunction } from 'node:net';
import type { Cancel, Clock } from '../clock/clock.ts';
import type { FieldLines } from '../http/fields.ts';
import { ConnectTimeoutError, NotConnectedError } from '../http1/errors.ts';
import type { Controller, Handler } from '../http1/handler.ts';
import type { TlsOptions } from '../http1/origin.ts';
import { Pool } from '../http1/pool.ts';
import { isOurShortage } from '../proxy/shortage.ts';
import type { HealthTerms, ProbeOutcome, StatusRange } from './contract.ts';

/** Content beyond this is not read. */
const MAX_CONTENT_BYTES = 16 * 1024;
/** A timer that fires so much too late shows that this process stood still, and the response may be there unread. */
const STOOD_STILL_MS = 500;
/** Stands where a status has been read. */
const UNREAD: ProbeOutcome = { kind: 'unknown', text: 'no status was read' };

export interface ProberOptions extends Pick<HealthTerms, 'timeoutMs' | 'statuses' | 'port'> {
  /** The request target, complete. */
  readonly target: string;
  /** Fields of the request. `Host` is the replica's by default. */
  readonly fields: FieldLines;
  /** Names and values of a response's head together must stay below. Default: 64 KiB. */
  readonly maxHeadBytes?: number | undefined;
  /** Resolves the replicas' names. Default: the system. */
  readonly lookup?: LookupFunction | undefined;
  /** How connections over TLS are opened, at the moment of a probe. Default: as Node does. */
  readonly tls?: (() => TlsOptions | undefined) | undefined;
  /** What sockets are read into. All probes may share one buffer. */
  readonly readBuffer: Buffer;
  readonly clock: Clock;
}

/** One probe under way. */
export interface Probe {
  /** Never rejects. */
  readonly outcome: Promise<ProbeOutcome>;
  /** Ends it at once. */
  readonly cancel: () => void;
}

export type Prober = (url: URL) => Probe;

/**
 * Asks a replica once, by a GET over a connection of its own: a kept one would not show that the replica takes no new
 * ones, and would have been taken from the requests of users. Redirects are not followed, and nothing is sent again.
 */
export function prober(options: Readonly<ProberOptions>): Prober {
  return (url) => new HttpProbe(options, url);
}

class HttpProbe implements Probe, Handler {
  readonly outcome: Promise<ProbeOutcome>;
  readonly #options: ProberOptions;
  readonly #connections: Pool;
  readonly #settled = Promise.withResolvers<ProbeOutcome>();
  readonly #startedAtMs: number;
  readonly #cancelTimeout: Cancel;
  #verdict: ProbeOutcome | undefined;
  #contentBytes = 0;
  #isOver = false;

  constructor(options: ProberOptions, url: URL) {
    const { clock, timeoutMs, port, target, fields, maxHeadBytes, lookup, tls, readBuffer } = options;
    this.#options = options;
    this.outcome = this.#settled.promise;
    this.#startedAtMs = clock.ticks();
    this.#connections = new Pool({
      url: port === undefined ? url : atPort(url, port),
      clock,
      // The time of the whole probe ends earlier.
      connectTimeoutMs: 2 * timeoutMs,
      ...(maxHeadBytes !== undefined && { maxHeadBytes }),
      ...(lookup && { lookup }),
      tls: tls?.(),
      readBuffer,
    });
    this.#cancelTimeout = clock.after(timeoutMs, () => this.#end(this.#late()));
    this.#connections.send({ method: 'GET', path: target, headers: fields }, this);
  }

  readonly cancel = (): void => this.#end({ kind: 'unknown', text: 'the probe was called off' });

  onRequestStart(): void {}

  onResponseStart(_controller: Controller, status: number): void {
    // An interim response says nothing yet.
    if (status < 200) return;
    this.#verdict = isAccepted(status, this.#options.statuses)
      ? { kind: 'passed', status }
      : { kind: 'failed', why: 'status', status, text: `status ${status}` };
  }

  /** A little content is read, so that most replicas meet no reset. */
  onResponseData(_controller: Controller, chunk: Buffer): void {
    this.#contentBytes += chunk.length;
    if (this.#contentBytes > MAX_CONTENT_BYTES) this.#end(UNREAD);
  }

  onResponsePause(): void {}

  onResponseEnd(): void {
    this.#settle(UNREAD);
    // The connection is idle from here on.
    void this.#connections.close();
  }

  onResponseError(_controller: Controller | undefined, error: Error): void {
    this.#end(failureOf(error));
  }

  #late(): ProbeOutcome {
    const { clock, timeoutMs } = this.#options;
    const lateMs = clock.ticks() - this.#startedAtMs - timeoutMs;
    if (lateMs > STOOD_STILL_MS) {
      return { kind: 'unknown', text: `the gateway itself stood still for ${Math.round(lateMs)} ms` };
    }
    return { kind: 'failed', why: 'timeout', text: `no response within ${timeoutMs} ms` };
  }

  #end(otherwise: ProbeOutcome): void {
    if (this.#settle(otherwise)) void this.#connections.destroy();
  }

  /** Whatever comes after the head, its status decides. Whether this was the end of the probe. */
  #settle(otherwise: ProbeOutcome): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#cancelTimeout();
    this.#settled.resolve(this.#verdict ?? otherwise);
    return true;
  }
}

function isAccepted(status: number, ranges: readonly StatusRange[]): boolean {
  return ranges.some(({ from, to }) => from <= status && status <= to);
}

function failureOf(error: Error): ProbeOutcome {
  if (isOurShortage(error)) return { kind: 'unknown', text: error.message };
  const isUnreachable = error instanceof NotConnectedError || error instanceof ConnectTimeoutError;
  return { kind: 'failed', why: isUnreachable ? 'unreachable' : 'broken', text: error.message };
}

function atPort(url: URL, port: number): URL {
  const other = new URL(url);
  other.port = String(port);
  return other;
}
