import { type Cancel, type Clock, systemClock } from '../clock/clock.ts';
import type { Attempt } from '../exchange/attempt.ts';
import { listener } from '../exchange/listener.ts';
import { Roster } from '../exchange/roster.ts';
import type { Replica } from './replica.ts';

export interface WatchdogOptions {
  /** A replica that owes an answer and gives none to anybody for so long is asked whether it lives. */
  readonly patienceMs: number;
  /** Resolves to whether the replica answers anything at all, in good time. Must not reject. */
  readonly probe: (replica: Replica) => Promise<boolean>;
  /** The replica does not answer the probe either: it hangs, with these tries. */
  readonly onHanging: (replica: Replica, unanswered: readonly Attempt[]) => void;
  readonly clock?: Clock;
}

/**
 * Tells a replica that hangs from one that is busy with something slow. Connections to a frozen process open and
 * stay open: only its silence gives it away. One timer for each replica that owes an answer.
 */
export class Watchdog {
  readonly #patienceMs: number;
  readonly #probe: WatchdogOptions['probe'];
  readonly #onHanging: WatchdogOptions['onHanging'];
  readonly #clock: Clock;
  readonly #watched = new Map<Replica, Watched>();

  constructor({ patienceMs, probe, onHanging, clock = systemClock }: Readonly<WatchdogOptions>) {
    this.#patienceMs = patienceMs;
    this.#probe = probe;
    this.#onHanging = listener(onHanging);
    this.#clock = clock;
  }

  /** Watches the replica until the try has an answer, or none will come. */
  watch(replica: Replica, attempt: Attempt): void {
    const nowMs = this.#clock.ticks();
    const watched = this.#watched.get(replica) ?? this.#begin(replica, nowMs);
    const place = watched.unanswered.enter({ attempt, sinceMs: nowMs });
    attempt.watch({
      answered: () => {
        watched.heardAtMs = this.#clock.ticks();
        place.leave();
      },
      ended: () => place.leave(),
    });
  }

  /** Stops looking. */
  dispose(): void {
    for (const { cancel } of this.#watched.values()) cancel();
    this.#watched.clear();
  }

  #begin(replica: Replica, nowMs: number): Watched {
    const watched: Watched = { unanswered: new Roster(), heardAtMs: nowMs, cancel: () => {} };
    this.#watched.set(replica, watched);
    this.#wait(replica, watched, this.#patienceMs);
    return watched;
  }

  #wait(replica: Replica, watched: Watched, ms: number): void {
    watched.cancel = this.#clock.after(ms, () => void this.#look(replica, watched));
  }

  async #look(replica: Replica, watched: Watched): Promise<void> {
    const { oldest } = watched.unanswered;
    if (!oldest) {
      this.#watched.delete(replica);
      return;
    }
    const silentSinceMs = Math.max(oldest.sinceMs, watched.heardAtMs);
    const leftMs = silentSinceMs + this.#patienceMs - this.#clock.ticks();
    if (leftMs <= 0) await this.#ask(replica, watched);
    if (this.#watched.get(replica) === watched)
      this.#wait(replica, watched, leftMs > 0 ? leftMs : this.#patienceMs);
  }

  async #ask(replica: Replica, watched: Watched): Promise<void> {
    const { heardAtMs } = watched;
    const alive = (await this.#probe(replica)) || watched.heardAtMs > heardAtMs;
    if (alive || this.#watched.get(replica) !== watched) return;
    this.#onHanging(
      replica,
      Array.from(watched.unanswered, ({ attempt }) => attempt),
    );
  }
}

interface Watched {
  /** Tries without an answer and when they began, the oldest first. */
  readonly unanswered: Roster<{ readonly attempt: Attempt; readonly sinceMs: number }>;
  /** When an answer last began. */
  heardAtMs: number;
  cancel: Cancel;
}
