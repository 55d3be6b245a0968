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
 * public only in one reading is not public. A request is read in up to three ways, and what each leads to is shown for the rules
 * `/public/**`, which is exact, and `/public/drafts/**`, `/shared/keys`, `/:team/keys`, `/**`, which are for any spelling:
 *
 * 1. as it is written, letter case apart: `/public/tea` is for the first rule, `/Public/tea` is not, and is left to `/**`;
 * 2. where the path is not plain or something overrides the method, as lenient services read it:
 *    `/public//%64rafts;v=1/tea` is for `/public/drafts/**`, although it begins as the first rule does;
 * 3. where that or letter case was needed, as services read it that fold nothing: `/SHARED/keys` is `/shared/keys` to some of
 *    the services, and `/:team/keys` to the others.
 *
 * Of all rules that are found the one counts that keeps out everybody whom any of them does. Where there is none, the request is
 * `AMBIGUOUS`.
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
    const asWritten = { request, method, path, keys, emptyFits: !plain, accepts: isForInSpelling };
    const written = this.#search(asWritten);
    const claimed = this.#claimedMethods(request, target);
    return plain && claimed.size === 0
      ? this.#findInPlain(asWritten, written)
      : this.#findInOdd(asWritten, written, claimed);
  }

  /** Services differ about the path in letter case alone, and about nothing where the rule has it as it is written. */
  #findInPlain(
    asWritten: Visit<Rule>,
    written: Route<Rule> | undefined,
  ): Route<Rule> | typeof AMBIGUOUS | undefined {
    if (written === undefined || fits(written.pattern, asWritten.path)) return written;
    const unfolded = this.#readUnfolded(asWritten, written, [asWritten.path], NO_METHODS);
    return this.#keepingOutAll([written, ...unfolded]);
  }

  /** @param claimed other methods that the request may be taken to have */
  #findInOdd(
    asWritten: Visit<Rule>,
    written: Route<Rule> | undefined,
    claimed: ReadonlySet<string>,
  ): Route<Rule> | typeof AMBIGUOUS | undefined {
    const lenient = this.#readLeniently(asWritten, written, claimed);
    if (lenient === undefined || lenient === AMBIGUOUS) return lenient;
    const unfolded = this.#readUnfolded(asWritten, written, unfoldedReadingsOf(asWritten.path), claimed);
    return this.#keepingOutAll([lenient, written, ...unfolded]);
  }

  /**
   * The one rule that some lenient service may take the request for, or `written`. Two are `AMBIGUOUS`, and so is one beside a
   * `written` of spelling `any` that is not for the same reading: `/a/x%2f..%2f..%2fb` with the rules `/a/*` and `/b`.
   */
  #readLeniently(
    asWritten: Visit<Rule>,
    written: Route<Rule> | undefined,
    claimed: ReadonlySet<string>,
  ): Route<Rule> | typeof AMBIGUOUS | undefined {
    const accepts = acceptsAny(written);
    let other: Route<Rule> | undefined;
    for (const keys of new Set([asWritten.keys, ...readingsOf(asWritten.path)])) {
      for (const method of [asWritten.method, ...claimed]) {
        const visit = { ...asWritten, keys, method, emptyFits: true, accepts };
        const found = this.#search(visit);
        if (found === undefined || found === written || found === other) continue;
        if (other !== undefined || (written && !written.isExact && !this.#isAt(written, visit)))
          return AMBIGUOUS;
        other = found;
      }
    }
    return other ?? written;
  }

  /** The rules that services may take the request for that heed letter case, and the rest of what is folded. */
  #readUnfolded(
    asWritten: Visit<Rule>,
    written: Route<Rule> | undefined,
    readings: Iterable<string>,
    claimed: ReadonlySet<string>,
  ): Set<Route<Rule> | undefined> {
    const found = new Set<Route<Rule> | undefined>();
    const isAccepted = acceptsAny(written);
    for (const text of readings) {
      const keys = foldedPath(text.endsWith('/') ? text.slice(0, -1) : text);
      // Whether a slash at the end counts, services do not agree either.
      for (const pattern of ['decoded', 'open'] as const) {
        const accepts = (route: Route<Rule>, visit: Visit<Rule>) =>
          isAccepted(route, visit) && fits(route[pattern], text);
        for (const method of [asWritten.method, ...claimed]) {
          found.add(this.#search({ ...asWritten, keys, method, emptyFits: true, accepts }));
        }
      }
    }
    return found;
  }

  /** The first of `found` that keeps out everybody whom any of them does. Without one, nobody knows what is meant. */
  #keepingOutAll(found: readonly (Route<Rule> | undefined)[]): Route<Rule> | typeof AMBIGUOUS {
    const meant = found.filter((route) => route !== undefined);
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

  /** Whether the route is for what is visited, though perhaps not the most specific one. */
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

/** In other readings than the one as it is written, an exact rule counts only if it was found by that. */
function acceptsAny<Rule extends RouteRule>(written: Route<Rule> | undefined): Visit<Rule>['accepts'] {
  return (route, visit) => (route === written || !route.isExact) && isFor(route, visit);
}
