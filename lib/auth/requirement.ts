import type { Identity } from '../exchange/exchange.ts';
import { stackless } from '../util/stackless.ts';
import { InsufficientScopeError } from './errors.ts';

/** What a claim may be compared with: a text is never equal to a number or to `true`, however it is written. */
export type ClaimValue = string | number | boolean;

/** What a token must say beyond who it is about. All of it must hold. */
export interface Requirement {
  /** By name or path, the values of which a claim must have one: by itself, or in its list. */
  readonly claims: Readonly<Record<string, readonly ClaimValue[]>>;
  /** Scopes that the token must have, all of them. */
  readonly scopes: readonly string[];
}

/** Why a token does not meet a requirement; undefined where it does. */
export type RequirementCheck = (identity: Identity) => InsufficientScopeError | undefined;

type Claims = Readonly<Record<string, unknown>>;
type Part = (claims: Claims) => InsufficientScopeError | undefined;

/** What says who is calling, in words for the log, and the scheme of the challenge. */
export interface Holder {
  readonly holder: string;
  readonly scheme: 'Bearer' | 'ApiKey';
}

const TOKEN: Holder = { holder: 'the token', scheme: 'Bearer' };

/** Claims with scopes: RFC 8693 section 4.2 has `scope`, others `scp`; each is one text with blanks, or a list. */
const SCOPE_CLAIMS = ['scope', 'scp'] as const;

/**
 * Makes the check of a requirement. It fails closed: a claim that is missing, of another type, or an object meets nothing. An
 * identity that was checked before is not read again: it is the same object for all requests with its token.
 */
export function requirementCheck(
  { claims, scopes }: Requirement,
  { holder, scheme }: Holder = TOKEN,
): RequirementCheck {
  const lacking = (message: string) => stackless(() => new InsufficientScopeError(message, scopes, scheme));
  const parts = [
    ...Object.entries(claims).map(([name, values]) => claimPart(name, values, holder, lacking)),
    ...(scopes.length > 0 ? [scopePart(scopes, holder, lacking)] : []),
  ];
  const known = new WeakMap<Identity, InsufficientScopeError | 'met'>();
  return (identity) => {
    let verdict = known.get(identity);
    if (verdict === undefined) {
      verdict = firstLacking(parts, identity) ?? 'met';
      known.set(identity, verdict);
    }
    return verdict === 'met' ? undefined : verdict;
  };
}

function firstLacking(parts: readonly Part[], identity: Identity): InsufficientScopeError | undefined {
  const claims = claimsOf(identity);
  for (const part of parts) {
    const lacking = part(claims);
    if (lacking) return lacking;
  }
  return undefined;
}

// Errors are made once: a flood of such requests must not cost one each.

type Lacking = (message: string) => InsufficientScopeError;

function claimPart(name: string, values: readonly ClaimValue[], holder: string, lacking: Lacking): Part {
  const accepted: ReadonlySet<unknown> = new Set(values);
  const missing = lacking(`${holder} has no claim ${JSON.stringify(name)}`);
  const other = lacking(`the claim ${JSON.stringify(name)} has none of the values asked for`);
  return (claims) => {
    const value = claimAt(claims, name);
    if (value === undefined) return missing;
    const isMet = Array.isArray(value) ? value.some((one) => accepted.has(one)) : accepted.has(value);
    return isMet ? undefined : other;
  };
}

function scopePart(scopes: readonly string[], holder: string, lacking: Lacking): Part {
  const errors = scopes.map((scope) => lacking(`${holder} does not have the scope ${scope}`));
  return (claims) => {
    const had = scopesOf(claims);
    const at = scopes.findIndex((scope) => !had.has(scope));
    return at === -1 ? undefined : errors[at];
  };
}

/** All claims of a token, read anew: the verifier has read them before, so that they are a JSON object. */
export function claimsOf({ claims }: Identity): Claims {
  return JSON.parse(Buffer.from(claims, 'base64url').toString('utf8')) as Claims;
}

/** The scopes that a token has. */
export function scopesOf(claims: Claims): ReadonlySet<unknown> {
  return new Set(SCOPE_CLAIMS.flatMap((name) => scopesIn(own(claims, name))));
}

function scopesIn(value: unknown): readonly unknown[] {
  if (typeof value === 'string') return value.split(' ');
  return Array.isArray(value) ? value : [];
}

/**
 * The claim of a name or path. A claim with exactly this name counts before a path, as in `https://faf.example/roles`; of a path,
 * the longest beginning that names something: `resource_access.my.client.roles` may be `resource_access`, `my.client`, `roles`.
 * Only objects are looked into, and nothing is inherited.
 */
export function claimAt(claims: unknown, path: string): unknown {
  const whole = own(claims, path);
  if (whole !== undefined) return whole;
  for (let dot = path.lastIndexOf('.'); dot > 0; dot = path.lastIndexOf('.', dot - 1)) {
    const inner = own(claims, path.slice(0, dot));
    if (inner !== undefined) return claimAt(inner, path.slice(dot + 1));
  }
  return undefined;
}

function own(value: unknown, name: string): unknown {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject && Object.hasOwn(value, name) ? (value as Claims)[name] : undefined;
}
