import type { RequestHandler } from 'express';
import { writerOf } from '../response/responseWriter.ts';
import { ResponseHeaders, type ResponseHeadersOptions } from './responseHeaders.ts';

/** Changes the fields of all responses, those of the handlers behind it and refusals alike. Put it in front of `cors`. */
export function responseHeaders(options: Readonly<ResponseHeadersOptions>): RequestHandler {
  const edit = new ResponseHeaders(options);

  return function responseHeadersMiddleware(_req, res, next) {
    writerOf(res).edit(edit);
    next();
  };
}
