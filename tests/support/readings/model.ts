import type { RouteMatch, RouteRule } from '../../../lib/routing/route.ts';
import { AMBIGUOUS, RouteTable } from '../../../lib/routing/routeTable.ts';
import type { Reader } from './readers.ts';

/** A route as the author of a file has it in mind: which requests, and what their tokens must say. */
export interface Wanted {
  readonly match: RouteMatch;
  /** `none`, `optional`, or what a token must say: each of these words. */
  readonly asks: 'none' | 'optional' | readonly string[];
}

/** Who a request is from: nobody, or somebody whose token says these words. */
export type Caller = readonly string[] | undefined;

/** Whether what `asks` says lets the caller in. */
export function letsIn(asks: Wanted['asks'], caller: Caller): boolean {
  if (typeof asks === 'string') return true;
  return caller !== undefined && asks.every((word) => caller.includes(word));
}

interface ModelRule extends RouteRule {
  readonly wanted: Wanted;
}

/** What a service that reads paths in this way thinks a request is for, by its own routes. */
export class ServiceModel {
  readonly reader: Reader;
  readonly #table: RouteTable<ModelRule>;

  constructor(reader: Reader, routes: readonly Wanted[]) {
    this.reader = reader;
    // Who does not heed a slash at the end does not heed it in a route either.
    const end = reader.read('/a/') === '/a' ? /(?<=.)\/$/ : /$^/;
    const fold = (path: string) => (reader.foldsCase ? path.toLowerCase() : path).replace(end, '');
    this.#table = new RouteTable<ModelRule>(
      routes.map((wanted, index) => ({
        name: String(index),
        match: { ...wanted.match, path: fold(wanted.match.path) },
        spelling: 'exact' as const,
        wanted,
      })),
    );
  }

  /** What the service's author would have asked for; undefined where the service has nothing there. */
  asksFor(method: string, host: string, target: string): Wanted['asks'] | undefined {
    const [path = ''] = target.split('?', 1);
    const read = this.reader.read(path);
    if (read === undefined || !read.startsWith('/')) return undefined;
    const folded = this.reader.foldsCase ? read.toLowerCase() : read;
    const found = this.#table.find({ method, headers: { host } }, folded.replaceAll('?', '%3F'));
    return found === undefined || found === AMBIGUOUS ? undefined : found.rule.wanted.asks;
  }
}
