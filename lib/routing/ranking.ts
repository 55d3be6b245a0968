import type { Pattern, Segment } from './pattern.ts';
import {
  compareRoutes,
  headersFit,
  methodFits,
  type Route,
  type RouteRequest,
  type RouteRule,
  readRule,
} from './route.ts';
import { AMBIGUOUS, type KeepsOutAsMuch, RouteTable } from './routeTable.ts';

/** The routes that a request matches. */
export interface Ranking<Rule extends RouteRule> {
  /** The winner first, then what would win without it, and so on. */
  readonly rules: readonly Rule[];
  /** Whether the request can be read in ways that different routes protect, so that none of them wins. */
  readonly isAmbiguous: boolean;
}

export interface RankingOptions<Rule extends RouteRule> {
  /** How many to find at most. Default: all. */
  readonly most?: number;
  /** As for `RouteTable`. */
  readonly keepsOutAsMuch?: KeepsOutAsMuch<Rule> | undefined;
}

/**
 * All routes that the request matches, in the order in which they win. For people who ask why: it looks at every route, and
 * asks a table anew for each that it finds.
 */
export function ranked<Rule extends RouteRule>(
  rules: readonly Rule[],
  request: RouteRequest,
  target: string,
  { most = Number.POSITIVE_INFINITY, keepsOutAsMuch }: RankingOptions<Rule> = {},
): Ranking<Rule> {
  const winners: Rule[] = [];
  let left = rules.filter((rule) => isFor(rule, request, target));
  // Whether one is for the request alone says nothing about what the others make of its spelling.
  const first = new RouteTable(rules, keepsOutAsMuch).find(request, target);
  if (first === AMBIGUOUS) return { rules: left.slice(0, most), isAmbiguous: true };
  if (first === undefined) return { rules: [], isAmbiguous: false };
  winners.push(first.rule);
  left = left.filter((rule) => rule !== first.rule);
  while (left.length > 0 && winners.length < most) {
    const found = new RouteTable(left, keepsOutAsMuch).find(request, target);
    if (found === undefined || found === AMBIGUOUS) break;
    winners.push(found.rule);
    left = left.filter((rule) => rule !== found.rule);
  }
  return { rules: winners, isAmbiguous: false };
}

/** The rules in the order in which they win, whatever a request is: the first of those that it matches. */
export function inOrder<Rule extends RouteRule>(rules: readonly Rule[]): Rule[] {
  return rules
    .map(readRule<Rule>)
    .sort(compare)
    .map(({ rule }) => rule);
}

/** Why `one` wins over `other`, both of which a request matches. */
export function whyFirst(one: RouteRule, other: RouteRule): string {
  const [a, b] = [readRule(one), readRule(other)];
  return (
    byHost(a, b) ??
    bySegment(a.pattern, b.pattern) ??
    byMethods(a, b) ??
    byFields(a, b) ??
    (a.priority === b.priority ? 'another reading of the path is its own' : byPriority(a, b))
  );
}

/**
 * Why a route is not for a request whose host and path are its own; undefined where they are not, or where it is for the
 * request.
 */
export function whyNot(rule: RouteRule, request: RouteRequest, target: string): string | undefined {
  const { host, path } = rule.match;
  if (isFor(rule, request, target)) return undefined;
  const place: RouteRule = { ...rule, match: { host, path } };
  if (!isFor({ ...place, spelling: 'any' }, request, target)) return undefined;
  if (!isFor(place, request, target)) return 'its path is spelt differently, and it matches byte for byte';
  const route = readRule(rule);
  if (!methodFits(route, request.method)) return `it is for ${[...(route.methods ?? [])].join(', ')}`;
  const missing = route.headers.filter((field) => !headersFit({ ...route, headers: [field] }, request));
  return `it asks for ${missing.map(([name, value]) => `${name}: ${value}`).join(' and ')}`;
}

function isFor(rule: RouteRule, request: RouteRequest, target: string): boolean {
  const found = new RouteTable([rule]).find(request, target);
  return found !== undefined && found !== AMBIGUOUS;
}

function compare(one: Route, other: Route): number {
  return (
    hostRank(one) - hostRank(other) ||
    labelsOf(other) - labelsOf(one) ||
    compareTexts(one.host ?? '', other.host ?? '') ||
    comparePatterns(one.pattern, other.pattern) ||
    compareRoutes(one, other) ||
    compareTexts(one.rule.name, other.rule.name)
  );
}

function hostRank({ host }: Route): number {
  if (host === undefined) return 2;
  return host.startsWith('*.') ? 1 : 0;
}

/** Of hosts below a name, the longer name counts; hosts by name are never compared with each other. */
function labelsOf({ host = '' }: Route): number {
  return host.startsWith('*.') ? host.split('.').length : 0;
}

function comparePatterns({ segments: one }: Pattern, { segments: other }: Pattern): number {
  const length = Math.max(one.length, other.length);
  for (let index = 0; index < length; index += 1) {
    const [a, b] = [one[index], other[index]];
    const order = rankOf(a) - rankOf(b) || compareTexts(textOf(a), textOf(b));
    if (order !== 0) return order;
  }
  return 0;
}

/** The end comes before whatever goes on. */
function textOf(segment: Segment | undefined): string {
  return segment?.kind === 'literal' ? `/${segment.text}` : '';
}

function compareTexts(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

function byHost({ host: one }: Route, { host: other }: Route): string | undefined {
  if (one === other) return undefined;
  if (other === undefined) return `it names the host ${one}, and the other none`;
  return other.startsWith('*.') ? `its host ${one} is more exact than ${other}` : `its host is ${one}`;
}

function bySegment({ segments: one }: Pattern, { segments: other }: Pattern): string | undefined {
  const length = Math.max(one.length, other.length);
  for (let index = 0; index < length; index += 1) {
    const [a, b] = [one[index], other[index]];
    if (rankOf(a) !== rankOf(b))
      return `at segment ${index + 1} it has ${shown(a)}, and the other ${shown(b)}`;
  }
  return undefined;
}

/** The end of a path is as exact as a segment that is written out. */
function rankOf(segment: Segment | undefined): number {
  if (segment === undefined || segment.kind === 'literal') return 0;
  return segment.kind === 'one' ? 1 : 2;
}

function shown(segment: Segment | undefined): string {
  if (segment === undefined) return 'its end';
  if (segment.kind === 'literal') return segment.text === '' ? 'a slash at the end' : segment.text;
  if (segment.kind === 'rest') return '**';
  return segment.name === undefined ? '*' : `:${segment.name}`;
}

function byMethods({ methods: one }: Route, { methods: other }: Route): string | undefined {
  return one !== undefined && other === undefined ? 'it names methods, and the other none' : undefined;
}

function byFields({ headers: one }: Route, { headers: other }: Route): string | undefined {
  return one.length > other.length
    ? `it asks for ${one.length} fields, and the other for ${other.length}`
    : undefined;
}

function byPriority({ priority: one }: Route, { priority: other }: Route): string {
  return `its priority is ${one}, and the other's ${other}`;
}
