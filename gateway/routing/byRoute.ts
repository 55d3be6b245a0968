import type { RequestHandler } from 'express';
import type { Route } from '../../config/sections/services.ts';
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
}

export function ruleFor({ name, match, spelling, action }: Route, chain: RequestHandler): RoutedRule {
  const service = action.kind === 'forward' ? action.service : 'none';
  return { name, match, spelling, service, rewrite: rewriteFor(action, match.path), chain };
}

/** Finds the most specific route, in as many steps as the path has segments. */
export function findByRoute(rules: readonly RoutedRule[]): Find {
  const table = new RouteTable(rules);
  return (req, target, exchange) => {
    if (isAmbiguous(target)) return ambiguous();
    const found = table.find(req, target);
    if (found === AMBIGUOUS) return ambiguous();
    if (found === undefined) return nothingFor(table.allowedMethods(req, target));
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

function nothingFor(allowed: readonly string[]): Error {
  return allowed.length > 0
    ? new MethodNotAllowedError('no route is for this method', allowed)
    : new NoSuchServiceError('no route');
}

function rewriteFor(action: Route['action'], path: string): Rewrite {
  if (action.kind !== 'forward') return unchanged;
  if (action.rewrite !== undefined) return rewriteTo(action.rewrite, parsePattern(path));
  return action.cut === '' ? unchanged : withoutPrefix(action.cut);
}
