import { parsePattern } from '../../lib/routing/pattern.ts';
import type { RouteMatch, RouteRule } from '../../lib/routing/route.ts';
import { AMBIGUOUS, RouteTable } from '../../lib/routing/routeTable.ts';
import { capturesOf, expand, parseTemplate, type Template } from '../../lib/routing/template.ts';
import { type FileProblem, pathText } from '../file/issues.ts';
import { quote } from '../report/problems.ts';
import type { RouteDefinition } from '../sections/services.ts';
import type { RedirectAction } from './actions.ts';

/** A route and where in the file it is. */
export interface Placed {
  readonly route: RouteDefinition;
  readonly at: readonly PropertyKey[];
}

/** As many as browsers follow. */
const MOST_REDIRECTS = 20;
/** What stands for a name, a segment or a host that may be any. */
const ANY = 'sample';

interface Rule extends RouteRule {
  readonly at: readonly PropertyKey[];
  /** Undefined: it does not redirect, or to another origin. */
  readonly redirect: { readonly template: Template; readonly action: RedirectAction } | undefined;
}

/** A problem for each redirect that leads back to itself again and again, perhaps through others. */
export function redirectLoops(routes: readonly Placed[]): FileProblem[] {
  const rules = routes.map(toRule);
  const redirects = rules.filter(({ redirect }) => redirect !== undefined);
  if (redirects.length === 0) return [];
  const table = new RouteTable(rules);
  return redirects
    .filter(({ match }) => isLoop(match, table))
    .map(({ at, redirect }) => {
      const path = [...at, 'redirect', 'to'];
      const text = `${pathText(path)} is ${quote(redirect?.action.to)}: expected another, since it leads back to this route, again and again`;
      return { path, text };
    });
}

function toRule({ route: { match, action }, at }: Placed): Rule {
  return { name: pathText(at), match, spelling: 'exact', at, redirect: redirectOf(match, action) };
}

function redirectOf({ path }: RouteMatch, action: RouteDefinition['action']): Rule['redirect'] {
  if (action.kind !== 'redirect' || !action.to.startsWith('/')) return undefined;
  try {
    return { template: parseTemplate(action.to, parsePattern(path)), action };
  } catch {
    // Whoever checks templates says so.
    return undefined;
  }
}

function isLoop(
  { path, host = ANY, methods = ['GET'], headers }: RouteMatch,
  table: RouteTable<Rule>,
): boolean {
  const fields = { ...headers, host: host.replace('*', ANY) };
  return samplesOf(path).some((sample) => methods.some((method) => comesBack(method, fields, sample, table)));
}

/** Paths that fit a pattern. */
function samplesOf(pattern: string): string[] {
  const path = pattern.replace(/\/(?:\*|:[^/]+)(?=\/|$)/g, `/${ANY}`);
  if (!path.endsWith('/**')) return [path];
  const front = path.slice(0, -'/**'.length);
  return [front || '/', `${front}/${ANY}`];
}

/** Whether a client is sent on and on, and sees the route where it began once more. */
function comesBack(
  first: string,
  headers: Readonly<Record<string, string>>,
  sample: string,
  table: RouteTable<Rule>,
): boolean {
  const visited: Rule[] = [];
  let [method, path] = [first, sample];
  while (visited.length < MOST_REDIRECTS) {
    const found = table.find({ method, headers }, path);
    if (found === undefined || found === AMBIGUOUS || found.rule.redirect === undefined) return false;
    const { template, action } = found.rule.redirect;
    const captures = capturesOf(found.pattern, path);
    if (captures === undefined) return false;
    visited.push(found.rule);
    path =
      expand(template, captures)
        .replace(/[?#].*$/, '')
        .replace(/^\/{2,}/, '/') || '/';
    method = nextMethod(method, action.status);
  }
  return visited.lastIndexOf(visited[0] as Rule) > 0;
}

/** The method with which clients follow (RFC 9110 sections 15.4.2 to 15.4.4). */
function nextMethod(method: string, status: number): string {
  if (method === 'HEAD') return method;
  const becomesGet = status === 303 || (method === 'POST' && (status === 301 || status === 302));
  return becomesGet ? 'GET' : method;
}
