import { z } from 'zod';
import type { ChosenBy } from '../../../lib/ratelimit/choice.ts';
import type { Rate } from '../../../lib/ratelimit/rate.ts';
import { formatDuration } from '../../kinds/durations.ts';
import { MAX_COUNT } from '../../kinds/kinds.ts';
import { rate as rateKind } from '../../kinds/rates.ts';
import { oneOf } from '../auth/words.ts';

/** What has a bucket of its own. */
export type RatePer = (typeof PERS)[number];

/** Who said it, and what it counts: `defaults` all services together, a service or route its own requests. */
export interface RateLevel {
  readonly level: 'environment' | 'defaults' | 'service' | 'route';
  /** Path of the service, or name of the route; '' for the others. */
  readonly place: string;
}

/** A limit by rate, as one level of the file, or a variable, says it. */
export interface RateRule {
  readonly at: RateLevel;
  /** What clients, metrics and logs call it. No two that hold for one request have the same name. */
  readonly name: string;
  readonly per: RatePer;
  readonly rate: Rate;
  /** What in a token chooses one of `rates` instead. */
  readonly by: ChosenBy | undefined;
  readonly rates: readonly (readonly [value: string, rate: Rate])[];
}

/** One as it is understood, before it is known where it stands. */
export type SaidRate = z.output<typeof one>;

const PERS = ['identity', 'address', 'route', 'service'] as const;

const BURST = { error: `a whole number from 1 to ${MAX_COUNT}` };
const BY = { error: 'claim: and the name or path of a claim, such as claim:plan, or scope' };
const LIMITS = { error: 'an object of rates by value, such as { free: 10/1m, default: 5/1m }' };
const RATE = { error: 'an object with per and limit' };
const RATES = {
  error: ({ input }: { readonly input?: unknown }) =>
    input === 'off' || input === false
      ? 'a rate or a list of rates: those further out hold in any case, so that nothing can be switched off'
      : 'a rate such as { per: identity, limit: 100/1m }, or a list of rates',
};

const burst = z
  .int(BURST)
  .min(1, BURST)
  .max(MAX_COUNT, BURST)
  .describe('Requests that may come at once. Default: as many as limit says.');

const limit = z
  .string({ error: rateKind.accepted })
  .pipe(rateKind.schema)
  .describe('Requests in a time: 100/1m.');

const named = z
  .union([limit, z.strictObject({ limit, burst: burst.optional() }, LIMITS)], {
    error: `${rateKind.accepted}, or { limit, burst }`,
  })
  .transform((given) => ('limit' in given ? toRate(given.limit, given.burst) : toRate(given)));

const by = z
  .string(BY)
  .regex(/^(claim:.+|scope)$/, BY)
  .transform((text): ChosenBy => (text === 'scope' ? text : { claim: text.slice('claim:'.length) }))
  .describe('What in a token chooses one of limits: claim:plan, or scope.');

const one = z
  .strictObject(
    {
      per: z
        .enum(PERS, oneOf(PERS, 'identity, address, route or service'))
        .describe('What has a bucket of its own. identity: whoever has no token counts by address.'),
      limit: limit.optional(),
      burst: burst.optional(),
      by: by.optional(),
      limits: z
        .record(z.string(), named, LIMITS)
        .optional()
        .describe('Rates by what the token says; default is for all others.'),
    },
    RATE,
  )
  .superRefine((given, context) => {
    const problem = contradiction(given);
    if (problem) context.addIssue({ code: 'custom', ...problem });
  })
  .transform(({ per, limit: given, burst: most, by: chosenBy, limits = {} }) => ({
    per,
    by: chosenBy,
    // Where there is neither, that is a problem of its own.
    rate: given ? toRate(given, most) : (limits.default ?? toRate({ requests: 1, windowMs: 1 })),
    rates: Object.entries(limits).filter(([value]) => value !== 'default'),
    at: undefined as RateLevel | undefined,
  }));

export const ratesSchema = z
  .union([one.transform((rule) => [rule]), z.array(one, RATES).min(1, RATES)], RATES)
  .describe('Requests that may come in a time, besides what is said further out.');

interface Given {
  readonly per: RatePer;
  readonly limit?: unknown;
  readonly burst?: unknown;
  readonly by?: unknown;
  readonly limits?: Readonly<Record<string, unknown>> | undefined;
}

function contradiction({ per, limit: given, burst: most, by: chosenBy, limits }: Given) {
  if ((given === undefined) === (limits === undefined)) {
    return { path: ['limit'], message: 'either limit, or by and limits' };
  }
  if ((chosenBy === undefined) !== (limits === undefined)) {
    return { path: ['by'], message: 'by and limits together' };
  }
  if (limits === undefined) return undefined;
  if (per !== 'identity') return { path: ['per'], message: 'identity, since a token chooses the limit' };
  if (most !== undefined) return { path: ['burst'], message: 'it within limits: { free: { limit, burst } }' };
  if (!Object.hasOwn(limits, 'default')) {
    return { path: ['limits', 'default'], message: 'a rate for whoever has none of the other values' };
  }
  return undefined;
}

function toRate({ requests, windowMs }: Omit<Rate, 'burst'>, most: number | undefined = requests): Rate {
  return { requests, windowMs, burst: most };
}

/** What a level says, marked with which it is. */
export function ratesAt(said: readonly SaidRate[], at: RateLevel): SaidRate[] {
  return said.map((rule) => ({ ...rule, at }));
}

/** The rules of all levels, each with a name of its own: `service-identity`, and `service-identity-2` for another of the level. */
export function rateRules(said: readonly SaidRate[]): RateRule[] {
  const counts = new Map<string, number>();
  return said.map(({ at = { level: 'defaults', place: '' }, ...rule }) => {
    const name = `${at.level}-${rule.per}`;
    const count = (counts.get(name) ?? 0) + 1;
    counts.set(name, count);
    return { ...rule, at, name: count === 1 ? name : `${name}-${count}` };
  });
}

/** The rule that a variable says; none where it is not set. */
export function rateOfVariable(
  per: 'identity' | 'address',
  given: Omit<Rate, 'burst'> | undefined,
): RateRule[] {
  if (given === undefined) return [];
  const at = { level: 'environment', place: '' } as const;
  return [{ at, name: per, per, rate: toRate(given), by: undefined, rates: [] }];
}

/** `identity 100/1m burst 20; identity by claim plan: free 10/1m, default 5/1m`, without what variables say. */
export function ratesText(rules: readonly RateRule[]): string {
  return rules
    .filter(({ at }) => at.level !== 'environment')
    .map(ruleText)
    .join('; ');
}

function ruleText({ per, by: chosenBy, rate, rates }: RateRule): string {
  if (chosenBy === undefined) return `${per} ${rateText(rate)}`;
  const words = chosenBy === 'scope' ? chosenBy : `claim ${chosenBy.claim}`;
  const all = [...rates, ['default', rate] as const];
  return `${per} by ${words}: ${all.map(([value, each]) => `${value} ${rateText(each)}`).join(', ')}`;
}

function rateText({ requests, windowMs, burst: most }: Rate): string {
  return `${requests}/${formatDuration(windowMs)}${most === requests ? '' : ` burst ${most}`}`;
}
