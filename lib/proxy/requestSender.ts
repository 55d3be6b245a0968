import type { Request, Response } from 'express';
import type { Attempt } from '../exchange/attempt.ts';
import { type Exchange, exchangeOf } from '../exchange/exchange.ts';
import { hasContent } from '../http/content.ts';
import { fieldValue } from '../http/fields.ts';
import { BodyTooLargeError } from './errors.ts';
import { RequestBody } from './request/requestBody.ts';
import type { RequestFields } from './request/requestFields.ts';
import type { Transport } from './transport.ts';
import { type CallTerms, UpstreamCall } from './upstreamCall.ts';

export interface RequestSenderOptions {
  readonly transport: Transport;
  /** What goes before every path that the service is asked for; '' for nothing. */
  readonly basePath: string;
  /** Largest content of a request, in bytes; 0: no limit. */
  readonly maxBodyBytes: number;
  /** The fields that the service gets of a request. */
  readonly requestFields: RequestFields;
  readonly terms: CallTerms;
}

/** Sends requests that stay HTTP to replicas, and passes the responses on. */
export class RequestSender {
  readonly #options: RequestSenderOptions;

  constructor(options: RequestSenderOptions) {
    this.#options = options;
  }

  send(req: Request, res: Response, attempt: Attempt): void {
    const { transport, maxBodyBytes, terms } = this.#options;
    const exchange = exchangeOf(res);
    const { content, contentObserver } = exchange;
    const { url } = attempt.target;
    const body = hasContent(req)
      ? new RequestBody(req, maxBodyBytes, terms.onContent, content, contentObserver)
      : null;
    const sendAfresh = () => transport.sendAfresh(url, this.#onward(req, exchange, body, content), call);
    const call = new UpstreamCall({ res, exchange, attempt, body, sendAfresh }, terms);
    try {
      if (maxBodyBytes > 0 && Number(req.headers['content-length']) > maxBodyBytes) {
        throw new BodyTooLargeError(maxBodyBytes);
      }
      transport.send(url, this.#onward(req, exchange, body, content), call);
    } catch (error) {
      call.onResponseError(undefined, error as Error);
    }
  }

  /** The request as the service gets it. */
  #onward(req: Request, exchange: Exchange, body: RequestBody | null, content: Buffer | undefined) {
    const { basePath, requestFields, terms } = this.#options;
    return {
      method: req.method,
      path: basePath + (exchange.upstreamTarget || req.url),
      headers: withLength(requestFields(req, exchange, terms.clock.now()), content),
      body,
    };
  }
}

/** Collected content is sent with its length, even if it came in chunks. */
function withLength(fields: string[], content: Buffer | undefined): string[] {
  if (content && fieldValue(fields, 'content-length') === undefined) {
    fields.push('Content-Length', String(content.length));
  }
  return fields;
}
