import type { Requirement } from '../../lib/auth/requirement.ts';
import { sourceText, type TokenSource } from '../../lib/auth/sources/source.ts';
import type { AllowSettings, DenySettings } from './addresses.ts';
import type { AuthSettings } from './auth/auth.ts';
import type { TokenSettings } from './auth/token.ts';

/** What says who is let in. */
export type Guard = AuthSettings & TokenSettings & AllowSettings & DenySettings;

const RANKS = { none: 0, optional: 1, required: 2 } as const;

/** Where tokens are looked for that no `sources` name; `streams` are the query of handshakes and event streams. */
const DEFAULT_SOURCES = ['bearer', 'query:access_token in streams'];

/**
 * Whether `one` keeps out everybody whom `other` keeps out. Two guards may each keep out somebody whom the other lets in: then
 * neither does.
 */
export function keepsOutAsMuch(one: Guard, other: Guard): boolean {
  return keepsOutAddresses(one, other) && keepsOutUsers(one, other);
}

function keepsOutAddresses(one: AllowSettings & DenySettings, other: AllowSettings & DenySettings): boolean {
  const { allow } = other;
  return (
    other.deny.every((range) => one.deny.includes(range)) &&
    (allow === undefined || (one.allow?.every((range) => allow.includes(range)) ?? false))
  );
}

function keepsOutUsers(one: Guard, other: Guard): boolean {
  if (other.token === 'revoke' && one.token !== 'revoke') return false;
  const asked = RANKS[other.auth.need];
  // A POST to a login needs no token; all else there needs what `auth` says.
  const isLogin = one.token === 'issue' && other.token !== 'issue';
  if ((isLogin ? RANKS.none : RANKS[one.auth.need]) < asked) return false;
  // Who need not bring a token is kept out by none that is missing.
  if (asked < RANKS.required) return true;
  return meets(one.auth.require, other.auth.require) && within(one.auth.sources, other.auth.sources);
}

/** Whether every token that says what `one` asks for says what `other` asks for. */
function meets(one: Requirement | undefined, other: Requirement | undefined): boolean {
  if (other === undefined) return true;
  if (one === undefined) return false;
  const claims = new Map(Object.entries(one.claims));
  return (
    other.scopes.every((scope) => one.scopes.includes(scope)) &&
    Object.entries(other.claims).every(
      ([name, values]) => claims.get(name)?.every((value) => values.includes(value)) ?? false,
    )
  );
}

function within(one: readonly TokenSource[] | undefined, other: readonly TokenSource[] | undefined): boolean {
  const wider = namesOf(other);
  return namesOf(one).every((name) => wider.includes(name));
}

function namesOf(sources: readonly TokenSource[] | undefined): readonly string[] {
  return sources === undefined ? DEFAULT_SOURCES : sources.map(sourceText);
}
