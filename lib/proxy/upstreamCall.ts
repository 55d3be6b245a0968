import type { Response } from 'express';
import type { Clock } from '../clock/clock.ts';
import type { Attempt } from '../exchange/attempt.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { fieldValue } from '../http/fields.ts';
import type { Controller, Handler } from '../http1/handler.ts';
import {
  ClientStalledError,
  HedgeLostError,
  RequestSentTwiceError,
  UpstreamBadResponseError,
  UpstreamSilentError,
} from './errors.ts';
import type { RequestBody } from './request/requestBody.ts';
import { ABANDONED, asProxyError, isBrokenAnswer, outcomeOf } from './response/outcome.ts';
import { interimFields, type ResponseFields, trailerFields } from './response/responseFields.ts';
import { beginResponse } from './response/responseHead.ts';
import { Silence } from './response/silence.ts';
import { diedWhileKept } from './transport.ts';

/** Content up to this size is held back until it is clear whether it is all. */
const MAX_HELD_BYTES = 16 * 1024;

/** What holds for every call. */
export interface CallTerms {
  readonly responseFields: ResponseFields;
  /** Longest pause in the answer's body; an event stream may pause for as long as it likes. */
  readonly silenceMs: number;
  /** Longest time the client may leave what it was sent unread; 0: for ever. */
  readonly sendTimeoutMs: number;
  readonly clock: Clock;
  /** Called with the size of each piece of the answer's content. */
  readonly onContent: (bytes: number) => void;
}

export interface UpstreamCallOptions {
  readonly res: Response;
  readonly exchange: Exchange;
  readonly attempt: Attempt;
  readonly body: RequestBody | null;
  /** Sends the same request once more to the same replica, over a connection of its own. */
  readonly sendAfresh: () => void;
}

/** One request to one replica: hands what comes back to the client as it arrives, with back-pressure. */
export class UpstreamCall implements Handler {
  readonly #options: UpstreamCallOptions;
  readonly #terms: CallTerms;
  #controller: Controller | undefined;
  #silence: Silence | undefined;
  /** Listens to the client while it has more to read than it takes. */
  #reader: Silence | undefined;
  /** Whether any head has come, of an interim answer too. */
  #heard = false;
  #sentAfresh = false;
  #answered = false;
  /** Whether the response began before the request was sent whole. */
  #answeredEarly = false;
  /** Content that may be all there is. */
  #held: Buffer | undefined;
  /** Whether content goes on as it comes. */
  #flows = false;
  /** Whether the answer is an event stream. */
  #streams = false;
  /** Whether it has ever waited for the client to read on. */
  #waits = false;
  /** How much of the request's content had arrived when the answer was last looked at. */
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
    const fields = this.#terms.responseFields(controller.rawHeaders, status);
    if (status < 200) this.#inform(status, fields);
    else this.#answer(status, reason, fields);
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    if (this.#over) return;
    this.#terms.onContent(chunk.length);
    if (this.#mayHold(chunk)) {
      this.#held = chunk;
      return;
    }
    this.#writeHeld();
    this.#silence?.heard();
    if (!this.#options.exchange.response.content(chunk)) {
      // A client that reads slowly is not a silent replica.
      this.#silence?.stop();
      controller.pause();
      this.#waitForReader();
    }
  }

  /** Head, content and end of a small answer come in one turn of the event loop: so they leave in one write. */
  #mayHold(chunk: Buffer): boolean {
    return !this.#flows && !this.#held && chunk.length <= MAX_HELD_BYTES;
  }

  #writeHeld(): void {
    if (this.#held) this.#options.exchange.response.content(this.#held);
    this.#held = undefined;
    this.#flows = true;
  }

  /** Most answers are over before, and need no watch. */
  onResponsePause(controller: Controller): void {
    if (this.#over || !this.#answered) return;
    if (!this.#held && !this.#flows) this.#options.exchange.response.flush();
    this.#writeHeld();
    if (this.#streams || this.#silence) return;
    this.#silence = new Silence(this.#terms.clock, this.#terms.silenceMs, this.#onSilent);
    if (!controller.paused) this.#silence.start();
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

  /** To another replica, if there is one: this one may be ending, and its listener the last of it to go. */
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

  /** Whether a kept connection ended under a request that may be made again, before any answer: no fault of anybody. */
  #lostToKeepAlive(error: Error): boolean {
    const { attempt, exchange } = this.#options;
    if (this.#sentAfresh || this.#heard || !attempt.repeatable || !exchange.maySend) return false;
    return diedWhileKept(error) && !isBrokenAnswer(error);
  }

  /** Begins the client's answer. What Node refuses to send is thrown: the transport then reports it as our error. */
  #answer(status: number, reason: string, fields: string[]): void {
    const { exchange, attempt, body } = this.#options;
    exchange.respondedBy(attempt);
    this.#streams =
      fieldValue(fields, 'content-type')?.toLowerCase().startsWith('text/event-stream') ?? false;
    // There may be no room for another stream: the response is dropped, which is no fault of the replica.
    const refusal = this.#streams ? exchange.admission?.becomeStream() : undefined;
    if (refusal) throw refusal;
    beginResponse(exchange.response, status, reason, fields);
    this.#answered = true;
    attempt.answered(status);
    this.#seenBytes = body?.receivedBytes ?? 0;
    this.#answeredEarly = body !== null && !body.readableEnded;
  }

  /** A replica that still gets content to read may be silent until it has it all. */
  readonly #onSilent = (): void => {
    const { body } = this.#options;
    const { silenceMs } = this.#terms;
    const receivedBytes = body?.receivedBytes ?? 0;
    if (receivedBytes === this.#seenBytes) this.#controller?.abort(new UpstreamSilentError(silenceMs));
    else this.#silence?.start();
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

  /** Another replica has responded to the same request. Nothing of `res` is touched from here on. */
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
    this.#reader ??= new Silence(clock, sendTimeoutMs, () =>
      this.#breakOff(new ClientStalledError(sendTimeoutMs)),
    );
    this.#reader.start();
  }

  readonly #onDrain = (): void => {
    if (!this.#controller?.paused) return;
    this.#reader?.stop();
    this.#silence?.start();
    this.#controller.resume();
  };

  #fail(cause: Error): void {
    if (this.#over) return;
    const { res, exchange, attempt, body } = this.#options;
    this.#close();
    const error = asProxyError(cause, attempt);
    attempt.end(this.#cutsUpload(error) ? ABANDONED : outcomeOf(error, { attempt, body, res }));
    body?.destroy();
    // An answer cut short must look cut short: a clean end would pass it off as whole.
    if (!this.#answered) {
      attempt.unanswered(error);
      return;
    }
    exchange.errorCode = 'code' in error ? String(error.code) : undefined;
    exchange.failure = error;
    exchange.response.abort();
  }

  /** A service may respond before it has read the request, and close: the rest of that response is lost on the way. */
  #cutsUpload(error: Error): boolean {
    return this.#answeredEarly && !(error instanceof UpstreamSilentError);
  }

  #close(): void {
    this.#over = true;
    this.#silence?.stop();
    this.#reader?.stop();
    this.#options.exchange.offAbort(this.#breakOff);
    if (this.#waits) this.#options.exchange.response.offDrain(this.#onDrain);
  }
}
