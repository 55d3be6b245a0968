import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { CautiousTime } from '../../clock/cautiousTime.ts';
import { type Clock, systemClock } from '../../clock/clock.ts';
import { LASTING_GROUP as GROUP } from '../../store/lasting.ts';
import { type Group, StoreUnavailableError, type TokenStore } from '../../store/store.ts';
import { TooManyRevocationsError } from '../errors.ts';
import { END_OF_TIME_MS } from '../tokens/claimChecks.ts';
import type { VerifiedToken } from '../tokens/verifier.ts';

const MAX_REVOCATIONS = 10_000;
/** The embedded store waits for the disk each time. */
const CLEARED_AT_A_TIME = 100;
/**
 * By this much the clocks of gateways and of Redis may be wrong, either way, for good or for a while: a revocation is
 * kept for so long past the end of what it revokes. A day covers a wrong time zone, and costs some 100 bytes a logout.
 */
export const CLOCK_ERROR_MS = 24 * 60 * 60 * 1000;

const common = { id: z.string(), createdAtMs: z.number(), expiresAtMs: z.number() };
const revocation = z.discriminatedUnion('kind', [
  z.object({ ...common, kind: z.literal('token'), digest: z.string(), subject: z.string() }),
  z.object({ ...common, kind: z.literal('jti'), jti: z.string() }),
  z.object({ ...common, kind: z.literal('subject'), subject: z.string(), issuedBeforeMs: z.number() }),
]);

/**
 * What was revoked: one token by its SHA-256, one by its `jti`, or all of a subject that were issued up to a
 * moment. `expiresAtMs` is when the last token it affects has expired.
 */
export type Revocation = z.output<typeof revocation>;

/** What to revoke. */
export type Revoked =
  | { readonly kind: 'token'; readonly token: VerifiedToken }
  | { readonly kind: 'jti'; readonly jti: string }
  | { readonly kind: 'subject'; readonly subject: string; readonly issuedBeforeMs: number };

/** Why a token counts as revoked, beside a logout: what the revocation names. */
export type CoveredBy = Revocation['kind'];

export interface RevocationsOptions {
  readonly store: TokenStore;
  /** No accepted token lives longer than this. Default: any may, and revocations by name last for good. */
  readonly maxLifetimeMs?: number | undefined;
  /** For how long tokens are accepted past their end, in milliseconds. Default 0. */
  readonly clockToleranceMs?: number;
  readonly clock?: Clock;
}

/**
 * Revocations that somebody has ordered, beyond logouts. They are few, at most 10,000, so every gateway keeps all
 * of them in memory for as long as the store says that they have not changed.
 */
export class Revocations {
  readonly #store: TokenStore;
  readonly #maxLifetimeMs: number | undefined;
  readonly #clockToleranceMs: number;
  readonly #clock: Clock;
  readonly #time: CautiousTime;
  #indexed: { readonly group: Group; readonly index: RevocationIndex } | undefined;

  constructor(options: Readonly<RevocationsOptions>) {
    this.#store = options.store;
    this.#maxLifetimeMs = options.maxLifetimeMs;
    this.#clockToleranceMs = options.clockToleranceMs ?? 0;
    this.#clock = options.clock ?? systemClock;
    this.#time = new CautiousTime(this.#clock);
  }

  /** What revokes the token, or false, as far as this process knows; undefined: the store must be asked. */
  knownCover(token: VerifiedToken): CoveredBy | false | undefined {
    const known = this.#store.peekGroup(GROUP);
    // Not read before: what cannot be read must not throw here.
    if (!known || this.#indexed?.group !== known.value) return undefined;
    return this.#indexed.index.coverOf(token);
  }

  /**
   * What revokes the token, or false. Rejects with `StoreUnavailableError` when the store does not tell, or tells what
   * cannot be read.
   */
  async coverOf(token: VerifiedToken): Promise<CoveredBy | false> {
    const group = await this.#store.getGroup(GROUP);
    if (this.#indexed?.group !== group) this.#indexed = { group, index: new RevocationIndex(read(group)) };
    return this.#indexed.index.coverOf(token);
  }

  /** In force on every gateway once this resolves. Each stands for itself: none weakens an earlier one. */
  async add(revoked: Revoked): Promise<Revocation> {
    const current = await this.list();
    if (current.length >= MAX_REVOCATIONS) {
      throw new TooManyRevocationsError(`${MAX_REVOCATIONS} revocations are in force`);
    }
    const added = this.#revocationOf(revoked);
    await this.#store.putInGroup(GROUP, added.id, JSON.stringify(added));
    return added;
  }

  /** Those in force, the newest first. What has expired is cleared away. */
  async list(): Promise<readonly Revocation[]> {
    const all = read(await this.#store.getGroup(GROUP));
    // A clock that has jumped must not clear away what will be needed once it is right again.
    const nowMs = this.#time.earliestMs();
    const expired = all.filter(({ expiresAtMs }) => expiresAtMs <= nowMs).slice(0, CLEARED_AT_A_TIME);
    // One that cannot be cleared away now is in nobody's way.
    await Promise.allSettled(expired.map(({ id }) => this.#store.removeFromGroup(GROUP, id)));
    return all
      .filter(({ expiresAtMs }) => expiresAtMs > nowMs)
      .sort((a, b) => b.createdAtMs - a.createdAtMs || a.id.localeCompare(b.id));
  }

  /** Takes one back. Resolves to whether there was one with this id. */
  async remove(id: string): Promise<boolean> {
    return this.#store.removeFromGroup(GROUP, id);
  }

  #revocationOf(revoked: Revoked): Revocation {
    const createdAtMs = this.#clock.now();
    const id = randomUUID();
    const until = (endMs: number) => Math.ceil(Math.min(endMs, END_OF_TIME_MS)) + CLOCK_ERROR_MS;
    if (revoked.kind === 'token') {
      const { digest, subject, acceptedUntilMs } = revoked.token;
      return { id, kind: 'token', digest, subject, createdAtMs, expiresAtMs: until(acceptedUntilMs) };
    }
    const issuedUntilMs = revoked.kind === 'subject' ? revoked.issuedBeforeMs : createdAtMs;
    // Without a limit nobody can say how long tokens live that were issued long ago.
    const lifetimeMs = this.#maxLifetimeMs ?? Number.POSITIVE_INFINITY;
    const endMs = issuedUntilMs + lifetimeMs + this.#clockToleranceMs;
    return { ...revoked, id, createdAtMs, expiresAtMs: until(endMs) };
  }
}

/** Answers for one token at a time, in the time of three look-ups. */
class RevocationIndex {
  readonly #digests = new Set<string>();
  readonly #jtis = new Set<string>();
  readonly #issuedBeforeMs = new Map<string, number>();

  constructor(revocations: readonly Revocation[]) {
    for (const entry of revocations) {
      if (entry.kind === 'token') this.#digests.add(entry.digest);
      else if (entry.kind === 'jti') this.#jtis.add(entry.jti);
      else
        this.#issuedBeforeMs.set(entry.subject, Math.max(entry.issuedBeforeMs, this.#latest(entry.subject)));
    }
  }

  /** By subject, whichever of the identifying claims has the value, and whether as text or as a number. */
  coverOf({ digest, jti, names, issuedAtMs = Number.NEGATIVE_INFINITY }: VerifiedToken): CoveredBy | false {
    if (this.#digests.has(digest)) return 'token';
    if (jti !== undefined && this.#jtis.has(jti)) return 'jti';
    if (this.#issuedBeforeMs.size === 0) return false;
    // `iat` is in whole seconds: one of the same second counts as before, and so does a token that does not say.
    const isCovered = (name: string) => this.#issuedBeforeMs.has(name) && issuedAtMs <= this.#latest(name);
    return names.some(isCovered) ? 'subject' : false;
  }

  #latest(subject: string): number {
    return this.#issuedBeforeMs.get(subject) ?? Number.NEGATIVE_INFINITY;
  }
}

/** Fails closed: a revocation that cannot be read may be anybody's. */
function read(group: Group): Revocation[] {
  return group.map((value) => {
    try {
      return revocation.parse(JSON.parse(value.toString()));
    } catch (cause) {
      throw new StoreUnavailableError(`an entry of ${GROUP} in the store cannot be read`, { cause });
    }
  });
}
