import { type Segment, segmentEnd } from './pattern.ts';
import { clash, compareRoutes, keyOf, type Route, type RouteRequest, type RouteRule } from './route.ts';

/** One look through the trees for a request. */
export interface Visit<Rule extends RouteRule> {
  readonly request: RouteRequest;
  readonly method: string | undefined;
  /** The path as the request has it. */
  readonly path: string;
  /** The path by whose segments the tree is gone through. */
  readonly keys: string;
  /** Whether `*` may stand for a segment without characters, as some services let it. */
  readonly emptyFits: boolean;
  /** Whether the route will do, whose path has been found. */
  readonly accepts: (route: Route<Rule>, visit: Visit<Rule>) => boolean;
}

/** The routes of one host by the segments of their paths. */
export class RouteTree<Rule extends RouteRule> {
  /** Whether the segments of patterns are compared folded. */
  readonly #folds: boolean;
  readonly #literals = new Map<string, RouteTree<Rule>>();
  #one: RouteTree<Rule> | undefined;
  /** Routes whose paths end here, the most specific first. */
  readonly #ends: Route<Rule>[] = [];
  /** Routes that take all the rest from here. */
  readonly #rests: Route<Rule>[] = [];

  constructor(folds: boolean) {
    this.#folds = folds;
  }

  /** Adds a route. Gives those that it clashes with. */
  add(route: Route<Rule>): Route<Rule>[] {
    const { segments } = route.pattern;
    const last = segments.at(-1);
    const endsInSlash = last?.kind === 'literal' && last.text === '';
    if (!this.#folds || !endsInSlash) return this.#add(route, segments, 0);
    // Readings have no slash at the end. Where it must be there, the path itself is compared as well.
    const folded = this.#add(route, segments.slice(0, -1), 0);
    return route.isExact ? [...folded, ...this.#add(route, segments, 0)] : folded;
  }

  /** The most specific route that is accepted, looking from the segment that begins at `at`. */
  find(visit: Visit<Rule>, at = 1): Route<Rule> | undefined {
    const { keys } = visit;
    if (at > keys.length) return accepted(this.#ends, visit) ?? accepted(this.#rests, visit);
    return this.#findBelow(visit, at, segmentEnd(keys, at)) ?? accepted(this.#rests, visit);
  }

  #findBelow(visit: Visit<Rule>, at: number, end: number): Route<Rule> | undefined {
    if (this.#literals.size > 0) {
      const found = this.#literals.get(visit.keys.slice(at, end))?.find(visit, end + 1);
      if (found !== undefined) return found;
    }
    return end > at || visit.emptyFits ? this.#one?.find(visit, end + 1) : undefined;
  }

  #add(route: Route<Rule>, segments: readonly Segment[], index: number): Route<Rule>[] {
    const segment = segments[index];
    if (segment === undefined) return insert(this.#ends, route);
    if (segment.kind === 'rest') return insert(this.#rests, route);
    return this.#below(segment).#add(route, segments, index + 1);
  }

  #below(segment: Exclude<Segment, { kind: 'rest' }>): RouteTree<Rule> {
    if (segment.kind === 'one') {
      this.#one ??= new RouteTree(this.#folds);
      return this.#one;
    }
    const key = keyOf(segment.text, this.#folds);
    const tree = this.#literals.get(key) ?? new RouteTree(this.#folds);
    this.#literals.set(key, tree);
    return tree;
  }
}

function accepted<Rule extends RouteRule>(
  routes: readonly Route<Rule>[],
  visit: Visit<Rule>,
): Route<Rule> | undefined {
  for (const route of routes) if (visit.accepts(route, visit)) return route;
  return undefined;
}

function insert<Rule extends RouteRule>(routes: Route<Rule>[], route: Route<Rule>): Route<Rule>[] {
  const clashes = routes.filter((other) => clash(route, other));
  const at = routes.findIndex((other) => compareRoutes(route, other) < 0);
  routes.splice(at === -1 ? routes.length : at, 0, route);
  return clashes;
}
