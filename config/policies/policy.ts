import { z } from 'zod';
import type { Kind } from '../kinds/kinds.ts';
import type { RateRule } from './limits/rates.ts';

/**
 * Something that `defaults`, services and routes of a GATEWAY_FILE may say, under one name. What is said further in replaces
 * what is said further out; of objects, each field by itself.
 */
export interface Policy<Schema extends z.ZodType, Settings extends object> {
  readonly schema: Schema;
  /** What holds, given what all levels together say: `undefined` where none says anything. */
  readonly settings: (said: z.output<Schema> | undefined, environment: Environment) => Settings;
  /** What `inner` says, and of `outer` what it leaves open. Default: see `inherit`. */
  readonly inherit?: (inner: z.output<Schema>, outer: z.output<Schema>) => z.output<Schema>;
  /**
   * What is wrong with what all levels together say, although each is right by itself. `isWhole`: no level further in can
   * complete it.
   */
  readonly problem?: (said: z.output<Schema>, isWhole: boolean) => PolicyProblem | undefined;
  /** Whether only `defaults` and services may say it, so that no route can complete it. Default false. */
  readonly isOfServices?: boolean;
  /** Whether `own` keeps out, or gives less than, `outer`: it then counts for every spelling of its path. Default: never. */
  readonly tightens?: (own: Settings, outer: Settings) => boolean;
}

export interface PolicyProblem {
  /** Which part of the policy it is about; empty: all of it. */
  readonly at: readonly string[];
  /** Follows the name of that part. */
  readonly text: string;
}

/** When the breaker of a replica opens, and for how long. */
export interface BreakerTerms {
  /** Failures that open it, 1 or more. */
  readonly threshold: number;
  /** Part of the calls in the window that must have failed, 0 to 1. */
  readonly ratio: number;
  /** How long a failure counts, in milliseconds, 1 or more. */
  readonly windowMs: number;
  /** How long it keeps requests away before it tries one, in milliseconds, 1 or more. */
  readonly cooldownMs: number;
}

/** What the variables say, where no file says it. */
export interface Environment {
  readonly concurrency: number;
  readonly streams: number;
  readonly requestTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly maxBodyBytes: number;
  readonly cacheTtlMs: number | 'off';
  readonly rates: readonly RateRule[];
  readonly breaker: BreakerTerms;
}

/** Gives a policy the types of its schema and of what it makes of it. */
export function policy<Schema extends z.ZodType, Settings extends object>(
  definition: Policy<Schema, Settings>,
): Policy<Schema, Settings> {
  return definition;
}

export const OBJECT = { error: 'an object' };
export const FLAG = { error: 'true or false' };

/** A kind whose text may also be written as a number. */
export function textOrNumber<T>({ accepted, schema }: Kind<T>) {
  return z.union([z.string(), z.number()], { error: accepted }).transform(String).pipe(schema);
}

/** Either not there at all, or with settings of its own. */
export function offOr<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.union([z.literal('off'), z.literal(false), z.strictObject(shape)], { error: 'off or an object' });
}

/** What `inner` says, and of `outer` what it leaves open: objects field by field, everything else as a whole. */
export function inherit<Said>(inner: Said | undefined, outer: Said | undefined): Said | undefined {
  if (inner === undefined) return outer;
  if (!isMap(inner) || !isMap(outer)) return inner;
  const merged: Record<string, unknown> = { ...outer };
  for (const [name, value] of Object.entries(inner)) merged[name] = inherit(value, merged[name]);
  return merged as Said;
}

/** Whether `inherit` merges it with another of its kind. */
export function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
