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
import { MethodNotAllowedError, NoSuchServiceError } from '../errors/requestErrors.ts';
import { isAmbiguous } from '../http/target.ts';
import { ambiguous, type Find } from './find.ts';

/** A route with what its requests meet. */
export interface RoutedRule extends RouteRule {
  /** Path of the service, of what is split until one is chosen; `none` where no service gets the requests. */
  readonly service: string;
  readonly rewrite: Rewrite;
  readonly chain: RequestHandler;
  /** Sees to the fields of a refusal that `chain` has no part in, and answers its preflight. */
  readonly refusalFields: RequestHandler;
  /** The methods that preflights are told of, as far as the route takes them; undefined: it answers none. */
  readonly corsMethods: readonly string[] | undefined;
  /** See `guardOf`. */
  readonly guard: Guard | undefined;
}

export function ruleFor(route: Route, chain: RequestHandler, refusalFields: RequestHandler): RoutedRule {
  const { name, match, spelling, action, settings } = route;
  const service = action.kind === 'forward' ? action.service : 'none';
  const guard = guardOf(route);
  const corsMethods = settings.cors?.methods;
  const rewrite = rewriteFor(action, match.path);
  return { name, match, spelling, service, rewrite, chain, refusalFields, corsMethods, guard };
}

type Table = RouteTable<RoutedRule>;

/** Who is let in; undefined where no service gets the requests, so that nobody is. */
export function guardOf({ action, settings }: Pick<Route, 'action' | 'settings'>): Guard | undefined {
  return action.kind === 'forward' ? settings : undefined;
}

/** Whether whom the second guard keeps out, the first one does, too; undefined keeps out everybody. */
export function keepsOut(one: Guard | undefined, other: Guard | undefined): boolean {
  return one === undefined || (other !== undefined && keepsOutAsMuch(one, other));
}

/** Finds the most specific route, in as many steps as the path has segments. */
export function findByRoute(rules: readonly RoutedRule[]): Find {
  const table = new RouteTable(rules, (one, other) => keepsOut(one.guard, other.guard));
  return (req, target, exchange) => {
    // `*` is no path (RFC 9112 section 3.2.4), although a pattern may fit it.
    if (!target.startsWith('/')) return new NoSuchServiceError('no path');
    if (isAmbiguous(target)) return ambiguous();
    const preflighted = preflightedRoute(table, req, target, exchange);
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

/**
 * The route of the request that a preflight asks for, where that answers preflights. Otherwise the preflight is a request
 * like any other: what is public for another method is not for OPTIONS.
 *
 * Browsers remember the methods in the response for the URL. So those alone are allowed that have the same route: another
 * one may let in no page, or other pages.
 */
function preflightedRoute(table: Table, req: Request, target: string, exchange: Exchange) {
  const method = askedMethod(req);
  if (method === undefined) return undefined;
  const routeWith = preflightedRoutes(table, req, target);
  const found = routeWith(method);
  if (found === AMBIGUOUS || found?.rule.corsMethods === undefined) return undefined;
  exchange.preflight = true;
  exchange.preflightMethods = found.rule.corsMethods.filter((each) => routeWith(each) === found);
  return found;
}

/** What the request that a preflight announces would find with one method or another. */
function preflightedRoutes(table: Table, req: Request, target: string) {
  const { headers } = req;
  const announced = announcedFields(req);
  return (method: string) => table.find({ method, headers, announced }, target);
}

/** A 405 is as readable as what the path may be asked with. */
function nothingFor(table: Table, req: Request, target: string, exchange: Exchange): RequestHandler | Error {
  const others = table.ofOtherMethods(req, target);
  const shown = others.find(({ rule }) => rule.corsMethods !== undefined) ?? others[0];
  if (shown === undefined) return new NoSuchServiceError('no route');
  const { refusalFields, corsMethods } = shown.rule;
  const asked = askedMethod(req);
  if (corsMethods !== undefined && asked !== undefined) {
    const routeWith = preflightedRoutes(table, req, target);
    exchange.preflight = true;
    // The page can read the 405 only if it may ask.
    exchange.preflightMethods = corsMethods.filter((each) => {
      const found = routeWith(each);
      return found === shown || (found === undefined && each === asked);
    });
  }
  const error = new MethodNotAllowedError('no route is for this method', table.allowedMethods(req, target));
  return (_req, res, next) => refusalFields(req, res, () => next(error));
}

function rewriteFor(action: Route['action'], path: string): Rewrite {
  if (action.kind !== 'forward') return unchanged;
  if (action.rewrite !== undefined) return rewriteTo(action.rewrite, parsePattern(path));
  return action.cut === '' ? unchanged : withoutPrefix(action.cut);
}
