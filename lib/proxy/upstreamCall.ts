import type { Response } from 'express';
import type { Clock } from '../clock/clock.ts';
import type { Attempt } from '../exchange/attempt.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { fieldValue, fieldValues } from '../exchange/fields.ts';
import type { Controller, Handler } from '../http1/handler.ts';
import { beginAnswer } from './answerHead.ts';
import { ClientStalledError, UpstreamBadResponseError, UpstreamSilentError } from './errors.ts';
import { asProxyError, blamesReplica, isBrokenAnswer } from './outcome.ts';
import type { RequestBody } from './requestBody.ts';
import { responseFields, trailerFields } from './responseFields.ts';
import { Silence } from './silence.ts';
import { diedWhileKept } from './transport.ts';

export interface UpstreamCallOptions {
  readonly res: Response;
  readonly exchange: Exchange;
  readonly attempt: Attempt;
  readonly body: RequestBody | null;
  /** `Via` of the answer; undefined: none. */
  readonly via: string | undefined;
  /** Longest pause in the answer's body; an event stream may pause for as long as it likes. */
  readonly silenceMs: number;
  /** Longest time the client may leave what it was sent unread; 0: for ever. */
  readonly sendTimeoutMs: number;
  readonly clock: Clock;
  /** Called with the size of each piece of the answer's content. */
  readonly onContent: (bytes: number) => void;
  /** Sends the same request once more to the same replica, over a connection of its own. */
  readonly sendAfresh: () => void;
  /** Called at most once, when no answer has begun and another may still be given. */
  readonly fail: (error: Error) => void;
}

/** One request to one replica: hands what comes back to the client as it arrives, with back-pressure. */
export class UpstreamCall implements Handler {
  readonly #options: UpstreamCallOptions;
  #controller: Controller | undefined;
  #silence: Silence | undefined;
  /** Listens to the client while it has more to read than it takes. */
  #reader: Silence | undefined;
  /** Whether any head has come, of an interim answer too. */
  #heard = false;
  #sentAfresh = false;
  #answered = false;
  #bodyBegun = false;
  /** How much of the request's content had arrived when the answer was last looked at. */
  #seenBytes = 0;
  #over = false;
  #brokenOffFor: Error | undefined;

  constructor(options: UpstreamCallOptions) {
    this.#options = options;
    options.exchange.signal.addEventListener('abort', this.#onAbort, { once: true });
    options.attempt.whenGivenUp(this.#breakOff);
    options.res.on('drain', this.#onDrain);
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller;
    if (this.#over) controller.abort(this.#brokenOffFor as Error);
    else this.#options.attempt.sent = true;
  }

  onResponseStart(controller: Controller, status: number, _fields: unknown, reason: string): void {
    if (this.#over) return;
    this.#heard = true;
    const fields = responseFields(controller.rawHeaders, status, this.#options.via);
    if (status < 200) this.#inform(status, fields);
    else this.#answer(status, reason, fields);
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    if (this.#over) return;
    this.#bodyBegun = true;
    this.#silence?.heard();
    if (!this.#options.res.write(chunk)) {
      // A client that reads slowly is not a silent replica.
      this.#silence?.stop();
      controller.pause();
      this.#watchReader();
    }
    this.#options.onContent(chunk.length);
  }

  onResponseEnd(controller: Controller): void {
    if (this.#over) return;
    const { res, attempt } = this.#options;
    const trailers = trailerFields(controller.rawTrailers);
    if (trailers.length > 0) res.addTrailers(trailers);
    this.#close();
    res.end();
    attempt.end({ kind: 'completed' });
  }

  onResponseError(_controller: Controller | undefined, error: Error): void {
    if (!this.#over && this.#lostToKeepAlive(error)) {
      this.#sentAfresh = true;
      this.#options.sendAfresh();
    } else {
      this.#fail(error);
    }
  }

  /** Whether a kept connection ended under a request that may be made again, before any answer: no fault of anybody. */
  #lostToKeepAlive(error: Error): boolean {
    if (this.#sentAfresh || this.#heard || !this.#options.attempt.repeatable) return false;
    return diedWhileKept(error) && !isBrokenAnswer(error);
  }

  /** Begins the client's answer. What Node refuses to send is thrown: the transport then reports it as our error. */
  #answer(status: number, reason: string, fields: string[]): void {
    const { res, attempt, body, clock, silenceMs } = this.#options;
    beginAnswer(res, status, reason, fields);
    this.#answered = true;
    attempt.answered(status);
    // Content that came along leaves in one packet with the head; a head alone leaves at once.
    process.nextTick(() => {
      if (!this.#bodyBegun && !this.#over) res.flushHeaders();
    });
    if (fieldValue(fields, 'content-type')?.toLowerCase().startsWith('text/event-stream')) return;
    this.#seenBytes = body?.receivedBytes ?? 0;
    this.#silence = new Silence(clock, silenceMs, this.#onSilent);
    this.#silence.start();
  }

  /** A replica that still gets content to read may be silent until it has it all. */
  readonly #onSilent = (): void => {
    const { body, silenceMs } = this.#options;
    const receivedBytes = body?.receivedBytes ?? 0;
    if (receivedBytes === this.#seenBytes) this.#controller?.abort(new UpstreamSilentError(silenceMs));
    else this.#silence?.start();
    this.#seenBytes = receivedBytes;
  };

  /** Early hints (103) travel on; other interim answers are of no use to the client. */
  #inform(status: number, fields: string[]): void {
    if (status < 100) throw new UpstreamBadResponseError(`status ${status}`);
    const { res } = this.#options;
    const links = fieldValues(fields, 'link');
    if (status !== 103 || res.req.httpVersion !== '1.1' || links.length === 0) return;
    try {
      res.writeEarlyHints({ link: links });
    } catch {
      // Node refuses links it cannot read. They were only hints: the answer itself may be good.
    }
  }

  readonly #onAbort = (): void => this.#breakOff(this.#options.exchange.signal.reason as Error);

  readonly #breakOff = (reason: Error): void => {
    this.#brokenOffFor = reason;
    this.#fail(reason);
    this.#controller?.abort(reason);
  };

  #watchReader(): void {
    const { clock, sendTimeoutMs } = this.#options;
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
    const { res, exchange, attempt, body, fail } = this.#options;
    this.#close();
    const error = asProxyError(cause, attempt);
    attempt.end(blamesReplica(error, body) ? { kind: 'failed', error } : { kind: 'abandoned' });
    body?.destroy();
    // An answer cut short must look cut short: a clean end would pass it off as whole.
    if (!this.#answered) {
      fail(error);
      return;
    }
    exchange.errorCode = 'code' in error ? String(error.code) : undefined;
    exchange.failure = error;
    cutShort(res);
  }

  #close(): void {
    this.#over = true;
    this.#silence?.stop();
    this.#reader?.stop();
    this.#options.exchange.signal.removeEventListener('abort', this.#onAbort);
    this.#options.res.off('drain', this.#onDrain);
  }
}

/** To an HTTP/1.0 client the end of the connection may be the end of the answer: it needs a reset. */
function cutShort(res: Response): void {
  if (res.req.httpVersion === '1.0') res.socket?.resetAndDestroy();
  res.destroy();
}
