import { overridesMethod } from '../http/methodOverride.ts';
import { pathOf } from '../http/path.ts';
import { HostTrees, hostName } from './host.ts';
import { fits } from './pattern.ts';
import {
  headersFit,
  methodFits,
  type Route,
  type RouteRequest,
  type RouteRule,
  readRule,
  spellingFits,
} from './route.ts';
import { foldedPath, isPlain, isTooOdd, readingsOf, unfoldedReadingsOf } from './spelling/readings.ts';
import { RouteTree, type Visit } from './tree.ts';

/** Different services may read the request in ways that different routes protect: it must be refused. */
export const AMBIGUOUS = 'ambiguous';

/** Whether whom the second rule keeps out, the first one does, too. */
export type KeepsOutAsMuch<Rule extends RouteRule> = (one: Rule, other: Rule) => boolean;

/** Two rules that are equally specific, and that one request can match. */
export type Clash<Rule extends RouteRule> = readonly [Rule, Rule];

/**
 * Finds the most specific route for a request: by host (a name, `*.` and a longer name, a shorter one, any), then by the
 * path's segments from the left (a literal before `*` or `:name` before `**`), then a route that names methods before one
 * that does not, then by the number of fields it asks for, then by priority. The order of the rules does not matter.
 *
 * A route is found in as many steps as its path has segments, however many routes there are, unless their paths overlap.
 * Nothing changes once it is made.
 *
 * Rules of spelling `exact` match the path byte for byte. Rules of spelling `any` match every path that some service might
 * read as theirs: see `readingsOf`; so do fields and parameters that override the method. It fails closed: a request that is
 * public only in one reading is not public.
 */
export class RouteTable<Rule extends RouteRule> {
  /** Rules that must not stand beside each other. A table that has some is not to be used. */
  readonly clashes: readonly Clash<Rule>[];
  readonly #hosts: HostTrees<RouteTree<Rule>>;
  /** Whether any rule matches more than its own spelling. */
  readonly #folds: boolean;
  /** The methods that rules of spelling `any` name. */
  readonly #guardedMethods: ReadonlySet<string>;

  readonly #keepsOutAsMuch: KeepsOutAsMuch<Rule>;

  /**
   * @param keepsOutAsMuch whether the first rule keeps out everybody whom the second one does. Default: all are alike
   * @throws {PatternError} where a path is no pattern
   */
  constructor(rules: readonly Rule[], keepsOutAsMuch: KeepsOutAsMuch<Rule> = () => true) {
    this.#keepsOutAsMuch = keepsOutAsMuch;
    const routes = rules.map(readRule);
    const lenient = routes.filter(({ isExact }) => !isExact);
    const folds = lenient.length > 0;
    this.#folds = folds;
    this.#guardedMethods = new Set(lenient.flatMap(({ methods = [] }) => [...methods]));
    this.#hosts = new HostTrees(() => new RouteTree<Rule>(folds));
    this.clashes = routes.flatMap((route) =>
      this.#hosts
        .ensure(route.host)
        .add(route)
        .map((other): Clash<Rule> => [other.rule, route.rule]),
    );
  }

  /**
   * @param target path and query, in which no dot segments, backslashes or control characters are left, in any encoding
   * @returns undefined: no route is for it, see `allowedMethods`
   */
  find(request: RouteRequest, target: string): Route<Rule> | typeof AMBIGUOUS | undefined {
    const path = pathOf(target);
    const { method } = request;
    if (this.#hosts.isUsed && request.headers.host?.includes('%')) return AMBIGUOUS;
    if (!this.#folds)
      return this.#search({ request, method, path, keys: path, emptyFits: false, accepts: isFor });
    const plain = isPlain(path);
    if (!plain && isTooOdd(path)) return AMBIGUOUS;
    const keys = plain ? path.toLowerCase() : foldedPath(path);
    const best = this.#search({ request, method, path, keys, emptyFits: !plain, accepts: isForInSpelling });
    const methods = this.#claimedMethods(request, target);
    const visit: Visit<Rule> = { request, method, path, keys, emptyFits: true, accepts: isFor };
    if (plain && methods.size === 0) {
      const isCertain = best === undefined || fits(best.pattern, path);
      return isCertain ? best : this.#strictestOf(best, this.#unfolded(best, visit, [path], [method]));
    }
    const found = this.#strictest(best, visit, methods);
    if (found === undefined || found === AMBIGUOUS) return found;
    const texts = unfoldedReadingsOf(path);
    return this.#strictestOf(found, [best, ...this.#unfolded(best, visit, texts, [method, ...methods])]);
  }

  /** What services that heed letter case, and the rest of what `found` was folded over, may take the request for. */
  #unfolded(
    best: Route<Rule> | undefined,
    first: Visit<Rule>,
    texts: Iterable<string>,
    methods: readonly (string | undefined)[],
  ): Set<Route<Rule> | undefined> {
    const routes = new Set<Route<Rule> | undefined>();
    for (const text of texts) {
      const keys = foldedPath(text.endsWith('/') ? text.slice(0, -1) : text);
      // Whether a slash at the end counts, services do not agree either.
      for (const pattern of ['decoded', 'open'] as const) {
        const accepts = (route: Route<Rule>, visit: Visit<Rule>) =>
          (route === best || !route.isExact) && isFor(route, visit) && fits(route[pattern], text);
        for (const method of methods) routes.add(this.#search({ ...first, keys, method, accepts }));
      }
    }
    return routes;
  }

  /**
   * `found`, unless another keeps out somebody whom it lets in. Then the one counts that keeps out all whom any of them does, and
   * where there is none nobody knows what is meant.
   */
  #strictestOf(
    found: Route<Rule>,
    others: Iterable<Route<Rule> | undefined>,
  ): Route<Rule> | typeof AMBIGUOUS {
    const meant = [found, ...others].filter((route) => route !== undefined);
    const keepsOutAll = (one: Route<Rule>) =>
      meant.every((other) => one === other || this.#keepsOutAsMuch(one.rule, other.rule));
    return meant.find(keepsOutAll) ?? AMBIGUOUS;
  }

  /** The methods that routes with the request's host, path and fields name: none of them is the request's. */
  allowedMethods(request: RouteRequest, target: string): string[] {
    const allowed = this.ofOtherMethods(request, target).flatMap(({ methods }) => [...(methods ?? [])]);
    return [...new Set(allowed)].sort();
  }

  /** The routes with the request's host, path and fields, where none is for its method. The most specific comes first. */
  ofOtherMethods(request: RouteRequest, target: string): Route<Rule>[] {
    const routes: Route<Rule>[] = [];
    const path = pathOf(target);
    const keys = this.#folds ? foldedPath(path) : path;
    const accepts = (route: Route<Rule>) => {
      if (headersFit(route, request) && spellingFits(route, path)) routes.push(route);
      return false;
    };
    this.#search({ request, method: request.method, path, keys, emptyFits: false, accepts });
    return routes;
  }

  /** What the other readings of the request say, where they keep out more than the first. */
  #strictest(
    best: Route<Rule> | undefined,
    first: Visit<Rule>,
    claimed: ReadonlySet<string>,
  ): Route<Rule> | typeof AMBIGUOUS | undefined {
    const accepts = (route: Route<Rule>, visit: Visit<Rule>) =>
      (route === best || !route.isExact) && isFor(route, visit);
    let stricter: Route<Rule> | undefined;
    for (const keys of new Set([first.keys, ...readingsOf(first.path)])) {
      for (const method of [first.method, ...claimed]) {
        const visit = { ...first, keys, method, accepts };
        const found = this.#search(visit);
        if (found === undefined || found === best || found === stricter) continue;
        if (stricter !== undefined || (best && !best.isExact && !this.#isAt(best, visit))) return AMBIGUOUS;
        stricter = found;
      }
    }
    return stricter ?? best;
  }

  #isAt(route: Route<Rule>, visit: Visit<Rule>): boolean {
    return (
      this.#search({ ...visit, accepts: (other) => other === route && isFor(route, visit) }) !== undefined
    );
  }

  #search(visit: Visit<Rule>): Route<Rule> | undefined {
    if (!this.#hosts.isUsed) return this.#hosts.any?.find(visit);
    for (const tree of this.#hosts.treesOf(hostName(visit.request.headers.host ?? ''))) {
      const found = tree.find(visit);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Methods that a service may take the request to have, and that some rule of spelling `any` names. */
  #claimedMethods(request: RouteRequest, target: string): ReadonlySet<string> {
    if (this.#guardedMethods.size === 0) return NO_METHODS;
    let claimed = NO_METHODS;
    overridesMethod(request, target, (method) => {
      const isNew = method !== request.method && !claimed.has(method);
      if (isNew && this.#guardedMethods.has(method)) claimed = new Set([...claimed, method]);
      return false;
    });
    return claimed;
  }
}

const NO_METHODS: ReadonlySet<string> = new Set();

function isFor<Rule extends RouteRule>(route: Route<Rule>, { request, method }: Visit<Rule>): boolean {
  return methodFits(route, method) && headersFit(route, request);
}

function isForInSpelling<Rule extends RouteRule>(route: Route<Rule>, visit: Visit<Rule>): boolean {
  return isFor(route, visit) && spellingFits(route, visit.path);
}
