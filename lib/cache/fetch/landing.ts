import type { Selecting } from '../rules/vary.ts';
import type { Entry } from '../stored/entry.ts';

/** An answer, and what the request said that it answers. */
export interface Shareable {
  readonly entry: Entry;
  readonly selecting: Selecting;
}

/** What a fill has come to, for those who waited for it. */
export type Landing =
  | ({ readonly kind: 'entry' } & Shareable)
  /** The service failed, and this stands in. */
  | ({ readonly kind: 'stand-in' } & Shareable)
  /** Nothing for others: each asks for itself. */
  | { readonly kind: 'nothing'; readonly because: Reason };

/** `unstorable`: it must not be stored, or is too large. `stale`: stored, and of no use without asking again. */
type Reason = 'unstorable' | 'stale' | 'failed';
