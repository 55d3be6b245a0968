import express, { type RequestHandler, type Response } from 'express';
import { exchangeOf } from '../exchange/exchange.ts';

/** Reads content of any type as text: `curl -d` says that it sends a form. */
export function textContent(maxBytes: number): RequestHandler {
  const read = express.text({ type: () => true, limit: maxBytes });
  return (req, res, next) => {
    read(req, res, (error) => {
      if (error) refuse(res, `expected at most ${maxBytes} bytes of JSON in UTF-8`);
      else next();
    });
  };
}

/** The JSON in the text; undefined: it is none. The cause is left out, because its message quotes the content. */
export function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Tells an operator what is wrong with a request: 400 with problem details (RFC 9457). */
export function refuse(res: Response, detail: string): void {
  const { requestId } = exchangeOf(res);
  const problem = {
    type: 'about:blank',
    title: 'Bad request',
    status: 400,
    detail,
    code: 'bad_request',
    requestId,
  };
  res.status(400).type('application/problem+json').send(JSON.stringify(problem));
}
