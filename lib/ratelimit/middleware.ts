import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { exchangeOf, nextWhileDue } from '../exchange/exchange.ts';
import { type ResponseWriter, writerOf } from '../response/responseWriter.ts';
import { listener } from '../util/listener.ts';
import { stackless } from '../util/stackless.ts';
import { type ChosenBy, chooseBy } from './choice.ts';
import { RateLimitError } from './errors.ts';
import { type Asked, assertRate, type Rate, type RateCounter, type Standing, type Verdict } from './rate.ts';

/** One limit: which bucket a request is counted in, and by which rate. */
export interface RatePolicy {
  /** Names the limit to clients: `identity`. Letters, digits, `-` and `_`. No two in a chain have the same. */
  readonly name: string;
  /** Names the bucket; a request for which there is none passes uncounted. */
  readonly bucketOf: (req: Request, res: Response) => string | undefined;
  readonly rate: Rate;
  /** What chooses another rate for the same bucket. Default: nothing does. */
  readonly by?: ChosenBy | undefined;
  /** By the value that chooses them. */
  readonly rates?: readonly (readonly [value: string, rate: Rate])[];
}

export interface RateLimitMiddlewareOptions {
  readonly counter: RateCounter;
  /** At least one. Those of one server should stand together, and first what only one caller fills up. */
  readonly policies: readonly RatePolicy[];
  /** Called for each request that is refused, with the name of the policy. */
  readonly onLimited?: (policy: string, res: Response) => void;
}

/** A rate of a policy, with the words for clients. */
interface Terms {
  readonly rate: Rate;
  readonly name: string;
  readonly text: string;
}

type Ask = (req: Request, res: Response) => { readonly key: string; readonly terms: Terms } | undefined;

/**
 * Admits the requests for which there is room in all of their buckets, and refuses the others with `RateLimitError`. A refused
 * request is counted in none of them (see the counter).
 *
 * Every response says where its client stands, in `RateLimit-Policy` and `RateLimit`
 * (draft-ietf-httpapi-ratelimit-headers-10): lists, to which each of several such middlewares in a row adds its policies. `q` is
 * the burst and `w` how long it takes to be there again after all of it was used. They take the place of the service's own, which say where the gateway stands.
 */
export function rateLimit({
  counter,
  policies,
  ...options
}: Readonly<RateLimitMiddlewareOptions>): RequestHandler {
  const asks = policies.map(askOf);
  const onLimited = listener(options.onLimited);

  return function rateLimitMiddleware(req, res, next) {
    const asked: Asked[] = [];
    const terms: Terms[] = [];
    for (const ask of asks) {
      const each = ask(req, res);
      if (each === undefined) continue;
      asked.push({ key: each.key, rate: each.terms.rate });
      terms.push(each.terms);
    }
    if (asked.length === 0) return next();
    const verdict = counter.take(asked);
    if (!(verdict instanceof Promise)) return settle(res, terms, verdict, next);
    const nextIfDue = nextWhileDue(res, next);
    verdict.then((settled) => settle(res, terms, settled, nextIfDue), nextIfDue);
  };

  function settle(res: Response, terms: readonly Terms[], verdict: Verdict, next: NextFunction): void {
    tell(res, terms, verdict);
    const by = terms[verdict.refusedBy];
    if (by === undefined) {
      next();
      return;
    }
    onLimited(by.name, res);
    next(stackless(() => new RateLimitError(by.name, verdict.retryAfterMs)));
  }
}

function askOf({ name, bucketOf, rate, by, rates = [] }: RatePolicy): Ask {
  if (!/^[\w-]+$/.test(name)) {
    throw new TypeError(`ratelimit: name must be letters, digits, - and _, got "${name}"`);
  }
  const otherwise = termsOf(name, rate);
  if (by === undefined) {
    return (req, res) => {
      const key = bucketOf(req, res);
      return key === undefined ? undefined : { key, terms: otherwise };
    };
  }
  const chosen = chooseBy(
    by,
    rates.map(([value, each]) => [value, termsOf(name, each)] as const),
    otherwise,
  );
  return (req, res) => {
    const key = bucketOf(req, res);
    return key === undefined ? undefined : { key, terms: chosen(exchangeOf(res).identity) };
  };
}

function termsOf(name: string, rate: Rate): Terms {
  assertRate(rate);
  const { requests, windowMs, burst } = rate;
  const refillSeconds = Math.ceil((burst * windowMs) / requests / 1000);
  return { rate, name, text: `"${name}";q=${burst};w=${refillSeconds}` };
}

function tell(res: Response, terms: readonly Terms[], { standings }: Verdict): void {
  if (res.headersSent) return;
  const writer = writerOf(res);
  for (const [index, { name, text }] of terms.entries()) {
    const standing = standings[index];
    put(writer, 'RateLimit-Policy', text);
    if (standing) put(writer, 'RateLimit', standingText(name, standing));
  }
}

/** The first of them takes the place of what the service says, the others stand beside it. */
function put(writer: ResponseWriter, field: string, value: string): void {
  if (writer.hasField(field)) writer.add(field, value);
  else writer.replace(field, value);
}

function standingText(name: string, { remaining, resetMs }: Standing): string {
  return `"${name}";r=${remaining};t=${Math.ceil(resetMs / 1000)}`;
}
