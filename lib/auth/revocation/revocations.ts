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
/** Deleted at a time, since the embedded store waits for the disk each time. */
const CLEARED_AT_A_TIME = 100;
/**
 * How far the clocks of gateways and Redis may be off, in either direction. A revocation is kept for this long after the
 * tokens it covers have expired. A day covers a wrong time zone and costs about 100 bytes for each logout of a day.
 */
export const CLOCK_ERROR_MS = 24 * 60 * 60 * 1000;

const common = { id: z.string(), createdAtMs: z.number(), expiresAtMs: z.number() };
const revocation = z.discriminatedUnion('kind', [
  z.object({ ...common, kind: z.literal('token'), digest: z.string(), subject: z.string() }),
  z.object({ ...common, kind: z.literal('jti'), jti: z.string() }),
  z.object({ ...common, kind: z.literal('subject'), subject: z.string(), issuedBeforeMs: z.number() }),
]);

/**
 * What was revoked: one token by its SHA-256, one by its `jti`, or all tokens of a subject that were issued up to a
 * moment. `expiresAtMs` is when the last of these tokens has expired.
 */
export type Revocation = z.output<typeof revocation>;

/** What to revoke. */
export type Revoked =
  | { readonly kind: 'token'; readonly token: VerifiedToken }
  | { readonly kind: 'jti'; readonly jti: string }
  | { readonly kind: 'subject'; readonly subject: string; readonly issuedBeforeMs: number };

/** What an operator's revocation names: the reason why a token counts as revoked, other than a logout. */
export type CoveredBy = Revocation['kind'];

export interface RevocationsOptions {
  readonly store: TokenStore;
  /** Longest life of an accepted token. Default: no limit, so that revocations by name last for ever. */
  readonly maxLifetimeMs?: number | undefined;
  /** How long tokens are accepted after they have expired, in milliseconds. Default 0. */
  readonly clockToleranceMs?: number;
  readonly clock?: Clock;
}

/**
 * Revocations by operators; logouts are kept elsewhere (`TokenRegistry`). There are at most 10,000 of them, so every gateway
 * keeps all of them in memory for as long as the store says that they have not changed.
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

  /** What revokes the token, or false when nothing does. Undefined when the store must be asked. */
  knownCover(token: VerifiedToken): CoveredBy | false | undefined {
    const known = this.#store.peekGroup(GROUP);
    // A group that was not read before is left to `coverOf`: one that cannot be read must not throw here.
    if (!known || this.#indexed?.group !== known.value) return undefined;
    return this.#indexed.index.coverOf(token);
  }

  /**
   * What revokes the token, or false when nothing does. Rejects with `StoreUnavailableError` when the store does not reply,
   * or has an entry that cannot be read.
   */
  async coverOf(token: VerifiedToken): Promise<CoveredBy | false> {
    const group = await this.#store.getGroup(GROUP);
    if (this.#indexed?.group !== group) this.#indexed = { group, index: new RevocationIndex(read(group)) };
    return this.#indexed.index.coverOf(token);
  }

  /** Once this resolves the revocation is in force on every gateway. It does not replace or weaken an earlier one. */
  async add(revoked: Revoked): Promise<Revocation> {
    const current = await this.list();
    if (current.length >= MAX_REVOCATIONS) {
      throw new TooManyRevocationsError(`${MAX_REVOCATIONS} revocations are in force`);
    }
    const added = this.#revocationOf(revoked);
    await this.#store.putInGroup(GROUP, added.id, JSON.stringify(added));
    return added;
  }

  /** The revocations in force, the newest first. Expired ones are deleted. */
  async list(): Promise<readonly Revocation[]> {
    const all = read(await this.#store.getGroup(GROUP));
    // By the earliest time it may be: a clock that has jumped ahead must not delete what is needed once it is right
    // again.
    const nowMs = this.#time.earliestMs();
    const expired = all.filter(({ expiresAtMs }) => expiresAtMs <= nowMs).slice(0, CLEARED_AT_A_TIME);
    // If deleting fails now, the next listing tries again.
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
    // Without a limit nobody can say when the last token that was issued before has expired.
    const lifetimeMs = this.#maxLifetimeMs ?? Number.POSITIVE_INFINITY;
    const endMs = issuedUntilMs + lifetimeMs + this.#clockToleranceMs;
    return { ...revoked, id, createdAtMs, expiresAtMs: until(endMs) };
  }
}

/** Says what revokes a token with three look-ups, however many revocations there are. */
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

  /** A revocation by subject covers a token whichever identifying claim has the value, as text or as a number. */
  coverOf({ digest, jti, names, issuedAtMs = Number.NEGATIVE_INFINITY }: VerifiedToken): CoveredBy | false {
    if (this.#digests.has(digest)) return 'token';
    if (jti !== undefined && this.#jtis.has(jti)) return 'jti';
    if (this.#issuedBeforeMs.size === 0) return false;
    // `iat` is in whole seconds: the same second counts as before, and so does a token without `iat`.
    const isCovered = (name: string) => this.#issuedBeforeMs.has(name) && issuedAtMs <= this.#latest(name);
    return names.some(isCovered) ? 'subject' : false;
  }

  #latest(subject: string): number {
    return this.#issuedBeforeMs.get(subject) ?? Number.NEGATIVE_INFINITY;
  }
}

/** Fails closed: a revocation that cannot be read might cover any token. */
function read(group: Group): Revocation[] {
  return group.map(({ id, value }) => {
    try {
      return revocation.parse(JSON.parse(value.toString()));
    } catch (cause) {
      throw new StoreUnavailableError(`the entry ${id} of ${GROUP} in the store cannot be read`, { cause });
    }
  });
}
