import { tagOf } from '../store/keyTag.ts';
import { standingAt, verdictOf } from './gcra.ts';
import type { Asked, RateCounter, Verdict } from './rate.ts';
import { TAKE } from './redisScript.ts';

/** Runs a Lua script that writes all of `keys`. Rejects when Redis does not respond in time. */
export type Evaluate = (script: string, keys: readonly string[], args: readonly string[]) => Promise<unknown>;

export interface RedisCounterOptions {
  readonly evaluate: Evaluate;
  /** Whether keys with different parts in braces may be on different servers. Then each part takes a script of its own. */
  readonly isSpread: boolean;
}

/**
 * Counts in the Redis that all gateways share, by its clock: together they admit exactly what one would. A request is counted in
 * all of its buckets or in none; with `isSpread` in none from the one on that refuses it.
 */
export class RedisCounter implements RateCounter {
  readonly #options: RedisCounterOptions;

  constructor(options: Readonly<RedisCounterOptions>) {
    this.#options = options;
  }

  /** Rejects when Redis does not respond. */
  take(asked: readonly Asked[]): Promise<Verdict> {
    return this.#options.isSpread && asked.length > 1 ? this.#oneByOne(asked) : this.#together(asked);
  }

  async #together(asked: readonly Asked[]): Promise<Verdict> {
    const keys = asked.map(({ key }) => key);
    const args = asked.flatMap(({ rate: { requests, windowMs, burst } }) => [
      String(requests),
      String(windowMs),
      String(burst),
    ]);
    const reply = (await this.#options.evaluate(TAKE, keys, args)) as number[];
    const standings = asked.map(({ rate }, index) => standingAt(Number(reply[2 * index + 1]), rate));
    const waits = asked.map((_each, index) => Number(reply[2 * index]));
    return verdictOf(waits, standings);
  }

  /** One script for all buckets that are on one server for certain. */
  async #oneByOne(asked: readonly Asked[]): Promise<Verdict> {
    const groups = Object.values(Object.groupBy(asked.keys(), (index) => tagOf((asked[index] as Asked).key)));
    const standings: Verdict['standings'][number][] = asked.map(() => undefined);
    for (const indices of groups as number[][]) {
      const verdict = await this.#together(indices.map((index) => asked[index] as Asked));
      for (const [at, index] of indices.entries()) standings[index] = verdict.standings[at];
      const refusedBy = indices[verdict.refusedBy];
      if (refusedBy !== undefined) return { refusedBy, retryAfterMs: verdict.retryAfterMs, standings };
    }
    return { refusedBy: -1, retryAfterMs: 0, standings };
  }
}
