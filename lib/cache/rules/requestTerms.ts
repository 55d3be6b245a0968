import type { IncomingMessage } from 'node:http';
import { hasContent } from '../../http/content.ts';
import { overridesMethod } from '../../http/methodOverride.ts';
import { type Directives, parseDirectives, secondsOf } from './directives.ts';

/** What the cache does with a request. */
export type Handling =
  /** Look for a stored response. */
  | 'lookup'
  /** Forward it: its method is safe, and responses to it are not stored (RFC 9110 section 9.2.1). */
  | 'method'
  /** Forward it. When it succeeds, what is stored under its URI is invalidated (RFC 9111 section 4.4). */
  | 'unsafe'
  /** Forward it: its response depends on more than its URI and fields, or its sender wants no cache. */
  | 'bypass';

/** What the sender of a GET or HEAD asks of a cache (RFC 9111 section 5.2.1). */
export interface RequestTerms {
  readonly directives: Directives;
  /** The service must be asked, whatever is stored. */
  readonly noCache: boolean;
  /** No service may be asked. */
  readonly onlyIfCached: boolean;
  /** Whether it says anything about which stored responses it accepts. */
  readonly isPicky: boolean;
}

const PICKY = ['no-cache', 'max-age', 'min-fresh', 'max-stale'];
const INDIFFERENT: RequestTerms = {
  directives: new Map(),
  noCache: false,
  onlyIfCached: false,
  isPicky: false,
};

/** @param isForNobody whether no stored response may be given to the sender, nor theirs be stored */
export function handlingOf(req: IncomingMessage, isForNobody: boolean): Handling {
  const { method, headers } = req;
  if (method === 'OPTIONS' || method === 'TRACE') return 'method';
  if (method !== 'GET' && method !== 'HEAD') return 'unsafe';
  // A few services take it for another method then: theirs is no response to a GET.
  if (isForNobody || overridesMethod(req, req.url ?? '')) return 'bypass';
  const depends = hasContent(req) || headers.upgrade !== undefined;
  // These two are for the service to judge (RFC 9111 section 4.3.2).
  const isGuarded = headers['if-match'] !== undefined || headers['if-unmodified-since'] !== undefined;
  return depends || isGuarded || saysNoStore(headers['cache-control']) ? 'bypass' : 'lookup';
}

/** `Pragma` counts only without `Cache-Control` (RFC 9111 section 5.4). */
export function requestTerms({ headers }: IncomingMessage): RequestTerms {
  const control = headers['cache-control'] ?? pragmaControl(headers.pragma);
  if (control === undefined) return INDIFFERENT;
  const directives = parseDirectives(control);
  return {
    directives,
    // Browsers send `max-age=0` when they reload.
    noCache: directives.has('no-cache') || secondsOf(directives, 'max-age') === 0,
    onlyIfCached: directives.has('only-if-cached'),
    isPicky: PICKY.some((name) => directives.has(name)),
  };
}

function pragmaControl(pragma: string | undefined): string | undefined {
  return pragma !== undefined && /no-cache/i.test(pragma) ? 'no-cache' : undefined;
}

function saysNoStore(control: string | undefined): boolean {
  return control !== undefined && parseDirectives(control).has('no-store');
}
