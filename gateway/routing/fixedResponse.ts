import type { RequestHandler } from 'express';
import type { RedirectAction, RespondAction, RouteAction } from '../../config/routes/actions.ts';
import { exchangeOf } from '../../lib/exchange/exchange.ts';
import { pathOf } from '../../lib/http/path.ts';
import { writerOf } from '../../lib/response/responseWriter.ts';
import { parsePattern } from '../../lib/routing/pattern.ts';
import { capturesOf, expand, parseTemplate } from '../../lib/routing/template.ts';
import { ambiguous } from './find.ts';

/** Statuses whose responses have no content (RFC 9110 section 6.4.1). */
const WITHOUT_CONTENT: ReadonlySet<number> = new Set([204, 205, 304]);

/** Responds to every request in the same way; no service is asked. @param path of the route's match */
export function fixedResponse(
  action: Exclude<RouteAction, { kind: 'forward' }>,
  path: string,
): RequestHandler {
  return action.kind === 'redirect' ? redirectTo(action, path) : respondWith(action);
}

function redirectTo({ to, status }: RedirectAction, matchPath: string): RequestHandler {
  const pattern = parsePattern(matchPath);
  const template = parseTemplate(to, pattern);
  return function redirectMiddleware(req, res, next) {
    const path = pathOf(req.originalUrl);
    const captures = capturesOf(pattern, path);
    if (captures === undefined) return next(ambiguous());
    const query = to.includes('?') ? '' : req.originalUrl.slice(path.length);
    send(res, status, ['Location', locationOf((expand(template, captures) || '/') + query)], '');
  };
}

function respondWith({ status, body, retryAfterSeconds }: RespondAction): RequestHandler {
  const isText = typeof body === 'string';
  const content =
    body === undefined || WITHOUT_CONTENT.has(status) ? '' : isText ? body : JSON.stringify(body);
  const fields = [
    ...(content === '' ? [] : ['Content-Type', isText ? 'text/plain; charset=utf-8' : 'application/json']),
    ...(retryAfterSeconds === undefined ? [] : ['Retry-After', String(retryAfterSeconds)]),
    // What a route says today it may not say tomorrow.
    ...(status >= 500 ? ['Cache-Control', 'no-store'] : []),
  ];
  return function respondMiddleware(_req, res) {
    send(res, status, fields, content);
  };
}

type Res = Parameters<RequestHandler>[1];

function send(res: Res, status: number, fields: readonly string[], content: string): void {
  exchangeOf(res).origin = 'gateway';
  const length = WITHOUT_CONTENT.has(status) ? [] : ['Content-Length', String(Buffer.byteLength(content))];
  writerOf(res).whole(status, [...fields, ...length], content, true);
}

/** Two slashes at the front would lead to another host, and what is not ASCII may not stand in a field. */
function locationOf(destination: string): string {
  return destination
    .replace(/^\/{2,}/, '/')
    .replace(/[^\x21-\x7e]/g, (character) =>
      encodeURIComponent(Buffer.from(character, 'latin1').toString('utf8')),
    );
}
