import type { Request, RequestHandler } from 'express';
import { type Guard, keepsOutAsMuch } from '../../config/policies/strictness.ts';
import type { Route } from '../../config/sections/services.ts';
import { announcedFields, askedMethod } from '../../lib/cors/preflight.ts';
import type { Exchange } from '../../lib/exchange/exchange.ts';
import { pathOf } from '../../lib/http/path.ts';
import { parsePattern } from '../../lib/routing/pattern.ts';
import { cutPrefix, type Rewrite, rewriteTo, unchanged, withoutPrefix } from '../../lib/routing/rewrite.ts';
import type { RouteRule } from '../../lib/routing/route.ts';
import { AMBIGUOUS, RouteTable } from '../../lib/routing/routeTable.ts';
import { MethodNotAllowedError, NoSuchServiceError } from '../errors.ts';
import { isAmbiguous } from '../http/target.ts';
import { ambiguous, type Find } from './find.ts';

/** A route with what its requests meet. */
export interface RoutedRule extends RouteRule {
  /** Path of the service; `none` where no service gets the requests. */
  readonly service: string;
  readonly rewrite: Rewrite;
  readonly chain: RequestHandler;
  /** Sees to the fields of a refusal that `chain` has no part in, and answers its preflight. */
  readonly refusalFields: RequestHandler;
  /** Whether it answers preflights. */
  readonly hasCors: boolean;
  /** Who is let in; undefined where no service gets the requests, so that nobody is. */
  readonly guard: Guard | undefined;
}

export function ruleFor(
  { name, match, spelling, action, settings }: Route,
  chain: RequestHandler,
  refusalFields: RequestHandler,
): RoutedRule {
  const service = action.kind === 'forward' ? action.service : 'none';
  const guard = action.kind === 'forward' ? settings : undefined;
  const hasCors = settings.cors !== undefined;
  const rewrite = rewriteFor(action, match.path);
  return { name, match, spelling, service, rewrite, chain, refusalFields, hasCors, guard };
}

/** Finds the most specific route, in as many steps as the path has segments. */
export function findByRoute(rules: readonly RoutedRule[]): Find {
  const table = new RouteTable(rules, keepsOut);
  return (req, target, exchange) => {
    // `*` is no path (RFC 9112 section 3.2.4), although a pattern may fit it.
    if (!target.startsWith('/')) return new NoSuchServiceError('no path');
    if (isAmbiguous(target)) return ambiguous();
    const preflighted = preflightedRoute(table, req, target);
    exchange.preflight = preflighted !== undefined;
    const found = preflighted ?? table.find(req, target);
    if (found === AMBIGUOUS) return ambiguous();
    if (found === undefined) return nothingFor(table, req, target, exchange);
    const { name, service, rewrite, chain } = found.rule;
    const path = pathOf(target);
    const rewritten = rewrite(path);
    if (rewritten === undefined) return ambiguous();
    exchange.route = name;
    exchange.service = service;
    exchange.prefix = rewritten === path ? '' : cutPrefix(path, rewritten);
    exchange.upstreamTarget = rewritten + target.slice(path.length);
    return chain;
  };
}

function keepsOut({ guard: one }: RoutedRule, { guard: other }: RoutedRule): boolean {
  return one === undefined || (other !== undefined && keepsOutAsMuch(one, other));
}

/**
 * The route of the request that a preflight asks for, where that answers preflights. Otherwise the preflight is a request
 * like any other: what is public for another method is not for OPTIONS.
 */
function preflightedRoute(table: RouteTable<RoutedRule>, req: Request, target: string) {
  const method = askedMethod(req);
  if (method === undefined) return undefined;
  const found = table.find({ method, headers: req.headers, announced: announcedFields(req) }, target);
  return found !== AMBIGUOUS && found?.rule.hasCors ? found : undefined;
}

/** A 405 is as readable as what the path may be asked with. */
function nothingFor(
  table: RouteTable<RoutedRule>,
  req: Request,
  target: string,
  exchange: Exchange,
): RequestHandler | Error {
  const others = table.ofOtherMethods(req, target);
  const shown = others.find(({ rule }) => rule.hasCors) ?? others[0];
  if (shown === undefined) return new NoSuchServiceError('no route');
  const { refusalFields, hasCors } = shown.rule;
  exchange.preflight = hasCors && askedMethod(req) !== undefined;
  const error = new MethodNotAllowedError('no route is for this method', table.allowedMethods(req, target));
  return (_req, res, next) => refusalFields(req, res, () => next(error));
}

function rewriteFor(action: Route['action'], path: string): Rewrite {
  if (action.kind !== 'forward') return unchanged;
  if (action.rewrite !== undefined) return rewriteTo(action.rewrite, parsePattern(path));
  return action.cut === '' ? unchanged : withoutPrefix(action.cut);
}
