import type { Clock } from '../clock/clock.ts';

/** Wrong tokens that an address may send before it must wait. */
const FREE = 5;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 60_000;
/** An address that has sent none for so long begins anew. */
const FORGOTTEN_AFTER_MS = 15 * 60_000;
/** Addresses that are told apart, at about 200 bytes each; all that come beyond share one place. */
const MAX_ADDRESSES = 1_000;
/** No address is called so. */
const OTHERS = '';

interface Guesser {
  readonly wrong: number;
  readonly lastAtMs: number;
  /** Nothing that it sends is compared before. */
  readonly nextAtMs: number;
}

export interface GuessesOptions {
  readonly clock: Pick<Clock, 'ticks'>;
}

/**
 * Slows down whoever guesses a token. After five wrong ones in a row an address waits a second, and twice as long after
 * each further one, up to a minute; who asks meanwhile is not listened to, with the right token either. A right one
 * begins anew. Each address is judged by itself, so nobody locks out those who come from another; who shares one (a
 * proxy, a published port) waits with it.
 *
 * In all at most 1,000 addresses and "everybody else" have guesses under way: about a thousand a minute from as many
 * addresses, and 200 KB of memory.
 */
export class Guesses {
  readonly #clock: Pick<Clock, 'ticks'>;
  readonly #guessers = new Map<string, Guesser>();

  constructor({ clock }: Readonly<GuessesOptions>) {
    this.#clock = clock;
  }

  /** How long what comes from this address is not compared, in milliseconds. 0: it is. */
  waitMs(address: string): number {
    const guesser = this.#guessers.get(this.#placeOf(address));
    return guesser ? Math.max(0, guesser.nextAtMs - this.#clock.ticks()) : 0;
  }

  /** A token from this address was wrong. */
  wrong(address: string): void {
    if (this.#guessers.size >= MAX_ADDRESSES) this.#forgetOld();
    const place = this.#placeOf(address);
    const nowMs = this.#clock.ticks();
    const known = this.#guessers.get(place);
    const wrong = known && !this.#isOld(known) ? known.wrong + 1 : 1;
    const waitMs = wrong < FREE ? 0 : Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (wrong - FREE));
    this.#guessers.set(place, { wrong, lastAtMs: nowMs, nextAtMs: nowMs + waitMs });
  }

  /** A token from this address was right. */
  right(address: string): void {
    this.#guessers.delete(address);
  }

  #placeOf(address: string): string {
    return this.#guessers.has(address) || this.#guessers.size < MAX_ADDRESSES ? address : OTHERS;
  }

  #isOld({ lastAtMs }: Guesser): boolean {
    return this.#clock.ticks() - lastAtMs >= FORGOTTEN_AFTER_MS;
  }

  #forgetOld(): void {
    for (const [address, guesser] of this.#guessers) if (this.#isOld(guesser)) this.#guessers.delete(address);
  }
}
