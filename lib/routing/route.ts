import type { IncomingHttpHeaders } from 'node:http';
import { hostName } from './host.ts';
import { fits, type Pattern, parsePattern } from './pattern.ts';
import { percentDecodedText } from './spelling/lenientText.ts';
import { foldedSegment } from './spelling/readings.ts';

/** Which requests a route is for. What is left out is any. */
export interface RouteMatch {
  /** `api.faf.example`, or `*.faf.example` for all hosts below it; never a port. */
  readonly host?: string | undefined;
  /** See `parsePattern`. */
  readonly path: string;
  /** In upper case. `GET` stands for `HEAD`, too. */
  readonly methods?: readonly string[] | undefined;
  /** Names in lower case, with the whole value that the field must have. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Decides between routes that are equal otherwise: the higher wins. Default 0. */
  readonly priority?: number | undefined;
}

/**
 * Which spellings of its path a route is for. `exact`, for what lets more in: the path byte for byte. `any`, for what keeps
 * out: whatever some service might read as its path.
 */
export type Spelling = 'exact' | 'any';

/** A route as it is written down. */
export interface RouteRule {
  /** What it is called in errors, logs and metrics. */
  readonly name: string;
  readonly match: RouteMatch;
  readonly spelling: Spelling;
}

/** What a request shows of itself. */
export interface RouteRequest {
  readonly method?: string | undefined;
  readonly headers: IncomingHttpHeaders;
  /** Fields, in lower case, that the request which a preflight asks for will have; their values are not known. */
  readonly announced?: ReadonlySet<string> | undefined;
}

/** A rule made ready to be compared with requests. */
export interface Route<Rule extends RouteRule = RouteRule> {
  readonly rule: Rule;
  readonly pattern: Pattern;
  /** The same without percent-encoding. */
  readonly decoded: Pattern;
  /** The same without a slash at the end as well. */
  readonly open: Pattern;
  readonly host: string | undefined;
  /** Undefined: all. */
  readonly methods: ReadonlySet<string> | undefined;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly priority: number;
  readonly isExact: boolean;
}

/** @throws {PatternError} where the path is none */
export function readRule<Rule extends RouteRule>(rule: Rule): Route<Rule> {
  const { host, path, methods, headers = {}, priority = 0 } = rule.match;
  const pattern = parsePattern(path);
  return {
    rule,
    pattern,
    decoded: decodedPattern(pattern),
    open: openPattern(decodedPattern(pattern)),
    host: host === undefined ? undefined : hostName(host),
    methods: methods && withHead(methods),
    headers: Object.entries(headers),
    priority,
    isExact: rule.spelling === 'exact',
  };
}

function decodedPattern({ text, segments }: Pattern): Pattern {
  const decoded = segments.map((segment) =>
    segment.kind === 'literal' ? { ...segment, text: percentDecodedText(segment.text) } : segment,
  );
  return { text, segments: decoded };
}

function openPattern({ text, segments }: Pattern): Pattern {
  const last = segments.at(-1);
  return { text, segments: last?.kind === 'literal' && last.text === '' ? segments.slice(0, -1) : segments };
}

/** Whether the route is for the request's method. */
export function methodFits({ methods }: Route, method = ''): boolean {
  return methods === undefined || methods.has(method);
}

/** Whether the request has the fields that the route asks for. */
export function headersFit({ headers }: Route, request: RouteRequest): boolean {
  return headers.every(([name, value]) => request.headers[name] === value || request.announced?.has(name));
}

/** Whether the route's spelling allows the path, of which only the folded segments have been compared. */
export function spellingFits({ isExact, pattern }: Route, path: string): boolean {
  return !isExact || fits(pattern, path);
}

/** Negative where `one` is the more specific of two routes with one host and one path. */
export function compareRoutes(one: Route, other: Route): number {
  return (
    Number(one.methods === undefined) - Number(other.methods === undefined) ||
    other.headers.length - one.headers.length ||
    other.priority - one.priority
  );
}

/** Whether two routes at one place of the tree are equal and one request can match both. */
export function clash(one: Route, other: Route): boolean {
  return (
    compareRoutes(one, other) === 0 &&
    sharePaths(one, other) &&
    shareMethods(one, other) &&
    shareHeaders(one, other)
  );
}

function withHead(methods: readonly string[]): ReadonlySet<string> {
  const all = new Set(methods);
  if (all.has('GET')) all.add('HEAD');
  return all;
}

/** Their folded paths are one. Byte for byte they may differ. */
function sharePaths(one: Route, other: Route): boolean {
  if (!one.isExact || !other.isExact) return true;
  return shapeOf(one.pattern) === shapeOf(other.pattern);
}

function shapeOf({ segments }: Pattern): string {
  return segments
    .map((segment) => (segment.kind === 'literal' ? `=${segment.text}` : segment.kind))
    .join('/');
}

function shareMethods({ methods }: Route, other: Route): boolean {
  return methods === undefined || [...methods].some((method) => methodFits(other, method));
}

function shareHeaders(one: Route, other: Route): boolean {
  return one.headers.every(([name, value]) =>
    other.headers.every(([otherName, otherValue]) => name !== otherName || value === otherValue),
  );
}

/** The keys by which a route stands in the tree: its segments' texts, folded where its tree folds. */
export function keyOf(text: string, folds: boolean): string {
  return folds ? foldedSegment(text) : text;
}
