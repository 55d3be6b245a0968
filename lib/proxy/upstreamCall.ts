import type { Response } from 'express';
import { type Dispatcher, errors } from 'undici';
import type { Clock } from '../clock/clock.ts';
import type { Attempt } from '../exchange/attempt.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { fieldValue, fieldValues } from '../exchange/fields.ts';
import { RequestTimeoutError } from '../timeout/errors.ts';
import { UpstreamBadResponseError, UpstreamSilentError, UpstreamUnreachableError } from './errors.ts';
import type { RequestBody } from './requestBody.ts';
import { type RawFields, responseFields, trailerFields } from './responseFields.ts';
import { Silence } from './silence.ts';

type Controller = Dispatcher.DispatchController;

/** How undici says that what came is no HTTP, or more of it than it reads. */
const BROKEN_ANSWERS = [
  errors.HTTPParserError,
  errors.HeadersOverflowError,
  errors.ResponseContentLengthMismatchError,
];

export interface UpstreamCallOptions {
  readonly res: Response;
  readonly exchange: Exchange;
  readonly attempt: Attempt;
  readonly body: RequestBody | null;
  /** Longest pause in the answer's body; an event stream may pause for as long as it likes. */
  readonly silenceMs: number;
  readonly clock: Clock;
  /** Called at most once, when no answer has begun and another may still be given. */
  readonly fail: (error: Error) => void;
}

/** One request to one replica: hands what comes back to the client as it arrives, with back-pressure. */
export class UpstreamCall implements Dispatcher.DispatchHandler {
  readonly #options: UpstreamCallOptions;
  #controller: Controller | undefined;
  #silence: Silence | undefined;
  #answered = false;
  #bodyBegun = false;
  #over = false;

  constructor(options: UpstreamCallOptions) {
    this.#options = options;
    options.exchange.signal.addEventListener('abort', this.#onAbort, { once: true });
    options.res.on('drain', this.#onDrain);
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller;
    if (this.#over) controller.abort(this.#options.exchange.signal.reason as Error);
    else this.#options.attempt.sent = true;
  }

  onResponseStart(controller: Controller, status: number, _fields: unknown, message = ''): void {
    if (this.#over) return;
    const fields = responseFields((controller.rawHeaders ?? []) as RawFields);
    if (status < 200) this.#inform(status, fields);
    else this.#answer(status, message, fields);
  }

  onResponseData(controller: Controller, chunk: Buffer): void {
    if (this.#over) return;
    this.#bodyBegun = true;
    this.#silence?.heard();
    if (this.#options.res.write(chunk)) return;
    // A client that reads slowly is not a silent replica.
    this.#silence?.stop();
    controller.pause();
  }

  onResponseEnd(controller: Controller): void {
    if (this.#over) return;
    const { res, attempt } = this.#options;
    const trailers = trailerFields((controller.rawTrailers ?? []) as RawFields);
    if (trailers.length > 0) res.addTrailers(trailers);
    this.#close();
    res.end();
    attempt.end({ kind: 'completed' });
  }

  onResponseError(_controller: Controller | undefined, error: Error): void {
    this.#fail(error);
  }

  /** Begins the client's answer. What Node refuses to send is thrown: undici then reports it as our error. */
  #answer(status: number, message: string, fields: string[]): void {
    const { res, attempt, clock, silenceMs } = this.#options;
    try {
      res.writeHead(status, message, fields);
    } catch (cause) {
      withdraw(res, fields);
      throw new UpstreamBadResponseError(`status ${status} or a field of it cannot be passed on`, { cause });
    }
    this.#answered = true;
    attempt.answered(status);
    // Content that came along leaves in one packet with the head; a head alone leaves at once.
    process.nextTick(() => {
      if (!this.#bodyBegun && !this.#over) res.flushHeaders();
    });
    if (fieldValue(fields, 'content-type')?.startsWith('text/event-stream')) return;
    this.#silence = new Silence(clock, silenceMs, () =>
      this.#controller?.abort(new UpstreamSilentError(silenceMs)),
    );
    this.#silence.start();
  }

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

  readonly #onAbort = (): void => {
    const reason = this.#options.exchange.signal.reason as Error;
    this.#fail(reason);
    this.#controller?.abort(reason);
  };

  readonly #onDrain = (): void => {
    if (!this.#controller?.paused) return;
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
    cutShort(res);
  }

  #close(): void {
    this.#over = true;
    this.#silence?.stop();
    this.#options.exchange.signal.removeEventListener('abort', this.#onAbort);
    this.#options.res.off('drain', this.#onDrain);
  }
}

/** Takes back what Node kept of a head that it then refused: the next head must not carry it. */
function withdraw(res: Response, fields: readonly string[]): void {
  res.statusMessage = '';
  for (let i = 0; i < fields.length; i += 2) res.removeHeader(fields[i] as string);
}

/** To an HTTP/1.0 client the end of the connection may be the end of the answer: it needs a reset. */
function cutShort(res: Response): void {
  if (res.req.httpVersion === '1.0') res.socket?.resetAndDestroy();
  res.destroy();
}

/** Errors of the gateway pass as they are; those of the transport get the gateway's names. */
function asProxyError(cause: Error, { target }: Attempt): Error {
  if ('status' in cause) return cause;
  if (BROKEN_ANSWERS.some((broken) => cause instanceof broken)) {
    return new UpstreamBadResponseError(`${target.id} sent a broken answer: ${cause.message}`, { cause });
  }
  return new UpstreamUnreachableError(`${target.id} did not answer: ${cause.message}`, { cause });
}

/** A caller that left, was too slow, or sent what cannot be forwarded says nothing about the replica. */
function blamesReplica(error: Error, body: RequestBody | null): boolean {
  if (error instanceof RequestTimeoutError) return body === null || body.awaitsReplica;
  return (
    error instanceof UpstreamUnreachableError ||
    error instanceof UpstreamBadResponseError ||
    error instanceof UpstreamSilentError
  );
}
