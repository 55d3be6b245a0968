import type { Response } from 'express';
import type { Clock } from '../clock/clock.ts';
import type { Attempt } from '../exchange/attempt.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { fieldValue } from '../http/fields.ts';
import type { Controller, Handler } from '../http1/handler.ts';
import { IdleTimeout } from '../timeout/idleTimeout.ts';
import {
  ClientStalledError,
  HedgeLostError,
  RequestSentTwiceError,
  UpstreamBadResponseError,
  UpstreamSilentError,
} from './errors.ts';
import type { RequestBody } from './request/requestBody.ts';
import { ABANDONED, asProxyError, isBrokenResponse, outcomeOf } from './response/outcome.ts';
import { interimFields, type ResponseFields, trailerFields } from './response/responseFields.ts';
import { beginResponse } from './response/responseHead.ts';
import { diedWhileKept } from './transport.ts';

/** A first piece of content up to this size is held back until it is known whether it is all. */
const MAX_HELD_BYTES = 16 * 1024;

/** Options that are the same for every call. */
export interface CallTerms {
  readonly responseFields: ResponseFields;
  /** Longest time without content of a response that has begun. Event streams are exempt. */
  readonly idleTimeoutMs: number;
  /** Longest time for which the client may not read on; 0: no limit. */
  readonly sendTimeoutMs: number;
  readonly clock: Clock;
  /** Called when the response is an event stream and has begun. It may abort the exchange. */
  readonly onStream: (exchange: Exchange) => void;
  /** Called with the size of each piece of the response's content. */
  readonly onContent: (bytes: number) => void;
}

export interface UpstreamCallOptions {
  readonly res: Response;
  readonly exchange: Exchange;
  readonly attempt: Attempt;
  readonly body: RequestBody | null;
  /** Sends the same request again to the same replica, over a new connection. */
  readonly sendAfresh: () => void;
}

/** One request to one replica: passes the response on to the client as it arrives, with back-pressure. */
export class UpstreamCall implements Handler {
  readonly #options: UpstreamCallOptions;
  readonly #terms: CallTerms;
  #controller: Controller | undefined;
  #idleTimeout: IdleTimeout | undefined;
  /** Runs while the client does not read on. */
  #sendTimeout: IdleTimeout | undefined;
  /** Whether any head has arrived, including that of an interim response. */
  #heard = false;
  #sentAfresh = false;
  #responded = false;
  /** Whether the response began before the whole request was sent. */
  #respondedEarly = false;
  /** The first piece of content, which may be the only one. */
  #held: Buffer | undefined;
  /** Whether content is passed on as it arrives. */
  #flows = false;
  /** Whether the response is an event stream. */
  #streams = false;
  /** Whether it has ever waited for the client to read on. */
  #waits = false;
  /** How much of the request's content had arrived when the response's idle timeout was last checked. */
  #seenBytes = 0;
  #over = false;
  #brokenOffFor: Error | undefined;

  constructor(options: UpstreamCallOptions, terms: CallTerms) {
    this.#options = options;
    this.#terms = terms;
    options.exchange.onAbort(this.#breakOff);
    options.attempt.whenLost(this.#lose);
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller;
    const { exchange, attempt } = this.#options;
    if (this.#over) controller.abort(this.#brokenOffFor as Error);
    else if (exchange.claimSend()) attempt.sent = true;
    else this.#breakOff(new RequestSentTwiceError());
  }

  onResponseStart(controller: Controller, status: number, _fields: unknown, reason: string): void {
    if (this.#over) return;
    this.#heard = true;
    const fields = this.#terms.responseFields(controller.rawHeaders, status, this.#options.exchange);
    if (status < 200) this.#inform(status, fields);
    else this.#respond(status, reason, fields);
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    if (this.#over) return;
    this.#terms.onContent(chunk.length);
    if (this.#mayHold(chunk)) {
      this.#held = chunk;
      return;
    }
    this.#writeHeld();
    this.#idleTimeout?.activity();
    if (!this.#options.exchange.response.content(chunk)) {
      // A client that reads slowly is not a silent replica.
      this.#idleTimeout?.stop();
      controller.pause();
      this.#waitForReader();
    }
  }

  /** Head, content and end of a small response arrive in one turn of the event loop, and so can leave in one write. */
  #mayHold(chunk: Buffer): boolean {
    return !this.#flows && !this.#held && chunk.length <= MAX_HELD_BYTES;
  }

  #writeHeld(): void {
    if (this.#held) this.#options.exchange.response.content(this.#held);
    this.#held = undefined;
    this.#flows = true;
  }

  /** More content may take a while. Most responses are complete before this, and need no idle timeout. */
  onResponsePause(controller: Controller): void {
    if (this.#over || !this.#responded) return;
    if (!this.#held && !this.#flows) this.#options.exchange.response.flush();
    this.#writeHeld();
    if (this.#streams || this.#idleTimeout) return;
    this.#idleTimeout = new IdleTimeout(this.#terms.clock, this.#terms.idleTimeoutMs, this.#onIdle);
    if (!controller.paused) this.#idleTimeout.start();
  }

  onResponseEnd(controller: Controller): void {
    if (this.#over) return;
    const { exchange, attempt } = this.#options;
    const trailers = trailerFields(controller.rawTrailers);
    exchange.response.end(this.#held, trailers);
    this.#close();
    attempt.end({ kind: 'completed' });
  }

  onResponseError(_controller: Controller | undefined, error: Error): void {
    if (this.#over || !this.#lostToKeepAlive(error)) this.#fail(error);
    else this.#sendAgain();
  }

  /** Sends the request to another replica, if there is one: this one may be shutting down. */
  #sendAgain(): void {
    const { exchange, attempt, sendAfresh } = this.#options;
    const { elsewhere } = exchange;
    if (elsewhere?.isThere()) {
      this.#close();
      attempt.end(ABANDONED);
      elsewhere.go();
    } else {
      this.#sentAfresh = true;
      sendAfresh();
    }
  }

  /**
   * Whether a kept connection was closed before any response to a request that may be sent again. The replica was free to
   * close it, so nobody is at fault.
   */
  #lostToKeepAlive(error: Error): boolean {
    const { attempt, exchange } = this.#options;
    if (this.#sentAfresh || this.#heard || !attempt.repeatable || !exchange.maySend) return false;
    return diedWhileKept(error) && !isBrokenResponse(error);
  }

  /**
   * Begins the client's response. Throws when Node refuses to send it; the transport then reports that to this handler.
   */
  #respond(status: number, reason: string, fields: string[]): void {
    const { exchange, attempt, body } = this.#options;
    exchange.respondedBy(attempt);
    this.#streams =
      fieldValue(fields, 'content-type')?.toLowerCase().startsWith('text/event-stream') ?? false;
    // If the limit of streams is reached the response is dropped. The replica is not at fault.
    const refusal = this.#streams ? exchange.admission?.becomeStream() : undefined;
    if (refusal) throw refusal;
    beginResponse(exchange.response, status, reason, fields);
    this.#responded = true;
    attempt.responded(status);
    this.#seenBytes = body?.receivedBytes ?? 0;
    this.#respondedEarly = body !== null && !body.readableEnded;
    if (this.#streams) this.#terms.onStream(exchange);
  }

  /** A replica that is still receiving content may wait until it has all of it, so that is no failure. */
  readonly #onIdle = (): void => {
    const { body } = this.#options;
    const { idleTimeoutMs } = this.#terms;
    const receivedBytes = body?.receivedBytes ?? 0;
    if (receivedBytes === this.#seenBytes) this.#controller?.abort(new UpstreamSilentError(idleTimeoutMs));
    else this.#idleTimeout?.start();
    this.#seenBytes = receivedBytes;
  };

  /** Interim responses travel on (RFC 9110 section 15.2), but for 100 and 101, which speak of one connection. */
  #inform(status: number, fields: string[]): void {
    if (status < 100) throw new UpstreamBadResponseError(`status ${status}`);
    const { exchange } = this.#options;
    // With a hedge under way it is open whose response it will be.
    if (exchange.hedge || status <= 101) return;
    exchange.response.interim(status, interimFields(fields));
  }

  readonly #breakOff = (reason: Error): void => {
    this.#brokenOffFor = reason;
    this.#fail(reason);
    this.#controller?.abort(reason);
  };

  /** Another replica has responded to the same request. This call must not touch `res` from here on. */
  readonly #lose = (): void => {
    const { res, attempt } = this.#options;
    const reason = new HedgeLostError(attempt.target.id);
    this.#brokenOffFor = reason;
    this.#close();
    attempt.judge(res);
    attempt.end(attempt.silent ? { kind: 'failed', failure: 'absent', error: reason } : ABANDONED);
    this.#controller?.abort(reason);
  };

  #waitForReader(): void {
    const { clock, sendTimeoutMs } = this.#terms;
    if (!this.#waits) this.#options.exchange.response.onDrain(this.#onDrain);
    this.#waits = true;
    if (sendTimeoutMs === 0) return;
    this.#sendTimeout ??= new IdleTimeout(clock, sendTimeoutMs, () =>
      this.#breakOff(new ClientStalledError(sendTimeoutMs)),
    );
    this.#sendTimeout.start();
  }

  readonly #onDrain = (): void => {
    if (!this.#controller?.paused) return;
    this.#sendTimeout?.stop();
    this.#idleTimeout?.start();
    this.#controller.resume();
  };

  #fail(cause: Error): void {
    if (this.#over) return;
    const { res, exchange, attempt, body } = this.#options;
    this.#close();
    const error = asProxyError(cause, attempt);
    attempt.end(this.#cutsUpload(error) ? ABANDONED : outcomeOf(error, { attempt, body, res }));
    body?.destroy();
    // A response that is cut short must look so to the client: a clean end would pass it off as complete.
    if (!this.#responded) {
      attempt.noResponse(error);
      return;
    }
    exchange.errorCode = 'code' in error ? String(error.code) : undefined;
    exchange.failure = error;
    exchange.response.abort();
  }

  /**
   * A service may respond before it has read the whole request and then close: the rest of the response may get lost.
   */
  #cutsUpload(error: Error): boolean {
    return this.#respondedEarly && !(error instanceof UpstreamSilentError);
  }

  #close(): void {
    this.#over = true;
    this.#idleTimeout?.stop();
    this.#sendTimeout?.stop();
    this.#options.exchange.offAbort(this.#breakOff);
    if (this.#waits) this.#options.exchange.response.offDrain(this.#onDrain);
  }
}
