import { z } from 'zod';
import { address } from '../kinds/addresses.ts';
import { policy } from './policy.ts';

export interface AllowSettings {
  /** Addresses and ranges whose clients alone may come; undefined: all may. */
  readonly allow: readonly string[] | undefined;
}

export interface DenySettings {
  /** Addresses and ranges whose clients may not come. */
  readonly deny: readonly string[];
}

const LIST = { error: 'a list of IP addresses and ranges, such as [10.0.0.0/8, "fd00::/8"]' };

export const allow = policy({
  schema: z.array(address.schema, LIST).min(1, LIST).describe('Whose clients alone may come: 10.0.0.0/8.'),
  settings: (said): AllowSettings => ({ allow: said }),
  tightens: (own, outer) => own.allow !== undefined && !holds(own.allow, outer.allow),
});

export const deny = policy({
  schema: z
    .array(address.schema, LIST)
    .describe('Whose clients may not come, besides those that are denied further out.'),
  settings: (said = []): DenySettings => ({ deny: said }),
  inherit: (inner, outer) => [...new Set([...outer, ...inner])],
  tightens: (own, outer) => !holds(outer.deny, own.deny),
});

/** Whether `list` has all of `others`; undefined: whatever there is. */
function holds(list: readonly string[], others: readonly string[] | undefined): boolean {
  return others?.every((other) => list.includes(other)) ?? false;
}
