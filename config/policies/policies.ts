import type { z } from 'zod';
import { allow, deny } from './addresses.ts';
import { auth } from './auth/auth.ts';
import { passAuthorization } from './auth/passAuthorization.ts';
import { token } from './auth/token.ts';
import { breaker } from './breaker.ts';
import { cache } from './cache.ts';
import { compress } from './fields/compress.ts';
import { cors } from './fields/cors.ts';
import { headers } from './fields/headers.ts';
import { host } from './fields/host.ts';
import { security } from './fields/security.ts';
import { limits } from './limits/limits.ts';
import { type RateLevel, ratesAt } from './limits/rates.ts';
import { mirror } from './mirror.ts';
import { type Environment, inherit, type Policy, type PolicyProblem } from './policy.ts';
import { publicPaths } from './publicPaths.ts';
import { retry } from './retry.ts';
import { timeouts } from './timeouts.ts';
import { balance } from './upstream/balance.ts';
import { health } from './upstream/health.ts';
import { tls } from './upstream/tls.ts';

/** All policies, by the names that they have in a file. */
export const POLICIES = {
  auth,
  passAuthorization,
  token,
  timeouts,
  limits,
  cache,
  compress,
  cors,
  retry,
  security,
  headers,
  host,
  breaker,
  health,
  balance,
  mirror,
  publicPaths,
  tls,
  allow,
  deny,
} as const;

type Policies = typeof POLICIES;
export type PolicyName = keyof Policies;
/** What a route may say; the others are about replicas, which all routes of a service share. */
export type RoutePolicy = Exclude<PolicyName, 'health' | 'tls'>;

/** What a level of the file says, or several of them together. */
export type Said = { readonly [Name in PolicyName]?: z.output<Policies[Name]['schema']> | undefined };

/** What holds for a service or route: the settings of all policies. */
export type PolicySettings = UnionToIntersection<ReturnType<Policies[PolicyName]['settings']>>;

type UnionToIntersection<Union> = (Union extends unknown ? (each: Union) => void : never) extends (
  each: infer Intersection,
) => void
  ? Intersection
  : never;

const ALL = Object.entries(POLICIES) as unknown as readonly [PolicyName, Policy<z.ZodType, object>][];

/** What `levels` say together, the innermost first. */
export function together(...levels: readonly Said[]): Said {
  return Object.fromEntries(
    ALL.map(([name, { inherit: own = inherit }]) => [
      name,
      levels
        .map((level) => level[name] as unknown)
        .reduceRight(
          (outer, inner) =>
            inner === undefined || outer === undefined ? (inner ?? outer) : own(inner, outer),
          undefined,
        ),
    ]),
  );
}

/** What a level of the file says, marked with which it is where that makes a difference. */
export function saidAt(said: Said, level: RateLevel): Said {
  const { limits: own } = said;
  return own?.rate ? { ...said, limits: { ...own, rate: ratesAt(own.rate, level) } } : said;
}

/**
 * What is wrong with what a level says together with those further out. What it only inherits is their problem.
 *
 * @param level `outer`: services can complete it; `service`: its routes can; `innermost`: nobody can
 */
export function problemsOf(
  own: Said,
  outer: Said,
  level: 'outer' | 'service' | 'innermost',
): PolicyProblem[] {
  const all = together(own, outer);
  return ALL.flatMap(([name, { problem, isOfServices = false }]) => {
    const isWhole = level === 'innermost' || (level === 'service' && isOfServices);
    const found = own[name] === undefined ? undefined : problem?.(all[name], isWhole);
    return found ? [{ ...found, at: [name, ...found.at] }] : [];
  });
}

/** What holds where the file says this, and the variables the rest. */
export function settingsOf(said: Said, environment: Environment): PolicySettings {
  return Object.assign({}, ...ALL.map(([name, { settings }]) => settings(said[name], environment)));
}

/** Whether `own` keeps out, or gives less than, `outer` in anything. */
export function isTighter(own: PolicySettings, outer: PolicySettings): boolean {
  return ALL.some(([, { tightens }]) => tightens?.(own, outer) ?? false);
}
