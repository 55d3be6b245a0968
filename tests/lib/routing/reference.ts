import type { RouteRequest, RouteRule } from '../../../lib/routing/route.ts';

/** How a service takes a path apart. */
interface Reading {
  (path: string): string[];
  readonly options?: { readonly emptyFits?: boolean };
}

const once = (text: string) =>
  text.replace(/(?:%[0-9a-f]{2})+/gi, (run) => Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'));
const merged = (segments: readonly string[]) => segments.filter((segment) => segment !== '');
const split = (path: string) => path.slice(1).split('/');

function resolved(segments: readonly string[]): string[] {
  const stack: string[] = [];
  for (const segment of segments) {
    if (segment === '..') stack.pop();
    else if (segment !== '.') stack.push(segment);
  }
  return stack;
}

/** Frameworks and servers as they are known to read paths. None of this is shared with what is tested. */
export const FRAMEWORKS: Readonly<Record<string, Reading>> = {
  'Express: letter case and one slash at the end do not count': (path) =>
    split(path.replace(/(?<=.)\/$/, '')).map(once),
  'Spring: parameters are cut, slashes are one': (path) =>
    merged(split(path).map((segment) => once(segment.replace(/;.*/, '')))),
  'Tomcat: decoded before parameters are cut': (path) =>
    resolved(merged(split(path).map((segment) => once(segment).replace(/;.*/, '')))),
  'ASP.NET: everything but encoded slashes': (path) =>
    merged(
      path.split('/').map((segment) =>
        segment
          .split(/%2f/i)
          .map(once)
          .join('%2F')
          .replace(/[. ]+$/, ''),
      ),
    ),
  'nginx: decoded, slashes are one, dots are followed': (path) => resolved(merged(split(once(path)))),
  'Go: decoded, then cleaned': (path) => resolved(merged(split(once(path)))),
  'chi: a parameter may be empty': Object.assign((path: string) => split(once(path)), {
    options: { emptyFits: true },
  }),
  'a proxy that decodes before a service that does': (path) => resolved(merged(split(once(once(path))))),
  'a proxy that decodes once, then a query': (path) =>
    merged(split(once(path).replace(/[?#].*/, '')).map(once)),
  'IIS: backslashes are slashes': (path) => resolved(merged(once(once(path)).split(/[\\/]/))),
};

/** Whether a rule is for a request whose path has been taken apart. Letter case and one slash at the end do not count. */
export function matches(
  { match }: RouteRule,
  request: RouteRequest,
  segments: readonly string[],
  { emptyFits = false } = {},
): boolean {
  const parts = match.path
    .replace(/(?<=.)\/$/, '')
    .slice(1)
    .split('/');
  const own = match.path === '/' ? [] : parts;
  const readings = segments.at(-1) === '' ? [segments, segments.slice(0, -1)] : [segments];
  return asks(match, request) && readings.some((each) => segmentsMatch(own.map(once), each, emptyFits));
}

function segmentsMatch(parts: readonly string[], segments: readonly string[], emptyFits: boolean): boolean {
  const [part, ...others] = parts;
  if (part === undefined) return segments.length === 0;
  if (part === '**') return true;
  const [segment, ...rest] = segments;
  if (segment === undefined) return false;
  const isOne = part === '*' || part.startsWith(':');
  const fits = isOne ? segment !== '' || emptyFits : foldedName(part) === foldedName(segment);
  return fits && segmentsMatch(others, rest, emptyFits);
}

function foldedName(segment: string): string {
  return segment.toLowerCase().replace(/[. ]+$/, '');
}

/** Whether host, method and fields are right. */
function asks({ host, methods, headers = {} }: RouteRule['match'], request: RouteRequest): boolean {
  const name = (request.headers.host ?? '').toLowerCase().replace(/:\d+$/, '');
  const hostFits =
    host === undefined || (host.startsWith('*') ? name.endsWith(host.slice(1)) : name === host);
  const method = request.method === 'HEAD' && !methods?.includes('HEAD') ? 'GET' : request.method;
  const methodFits = methods === undefined || methods.includes(method ?? '');
  return (
    hostFits && methodFits && Object.entries(headers).every(([key, value]) => request.headers[key] === value)
  );
}

/** The rule that a request goes to by its path byte for byte: each is tried, and compared with the best so far. */
export function winnerOf(
  rules: readonly RouteRule[],
  request: RouteRequest,
  path: string,
): RouteRule | undefined {
  const all = rules.filter(({ match }) => asks(match, request) && pathMatches(match.path, path));
  return all.reduce<RouteRule | undefined>(
    (best, each) => (best && !moreSpecific(each, best) ? best : each),
    undefined,
  );
}

function pathMatches(pattern: string, path: string): boolean {
  const parts = pattern.slice(1).split('/');
  const segments = split(path);
  const head = parts.filter((part) => part !== '**');
  if (parts.length === head.length ? segments.length !== head.length : segments.length < head.length)
    return false;
  return head.every((part, index) =>
    part === '*' || part.startsWith(':') ? segments[index] !== '' : part === segments[index],
  );
}

/** Whether `one` is the more specific of two rules that a request matches. */
export function moreSpecific(one: RouteRule, other: RouteRule): boolean {
  const [ranks, others] = [rankOf(one), rankOf(other)];
  for (let i = 0; i < Math.max(ranks.length, others.length); i += 1) {
    const difference = (ranks[i] ?? 0) - (others[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return false;
}

function rankOf({ match: { host, path, methods, headers = {}, priority = 0 } }: RouteRule): number[] {
  const hostRank = host === undefined ? 0 : host.startsWith('*') ? host.length : 1000;
  const segments = path.slice(1).split('/').map(segmentRank);
  const padded = Array.from({ length: 6 }, (_, index) => segments[index] ?? 4);
  return [hostRank, ...padded, methods ? 1 : 0, Object.keys(headers).length, priority];
}

function segmentRank(segment: string): number {
  if (segment === '**') return 1;
  return segment === '*' || segment.startsWith(':') ? 2 : 3;
}
