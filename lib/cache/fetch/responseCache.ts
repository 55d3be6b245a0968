import type { RequestHandler } from 'express';
import type { Clock } from '../../clock/clock.ts';
import { LineCheck } from '../../http1/lineCheck.ts';
import type { ResponseStore } from '../../store/store.ts';
import { NotCachedError } from '../errors.ts';
import { Heads } from '../rules/heads.ts';
import { hasValidator, Policy } from '../rules/policy.ts';
import { type Reuse, reuse } from '../rules/reuse.ts';
import type { Forward } from '../rules/status.ts';
import { selectingKey } from '../rules/vary.ts';
import { Entries, entryOf, type Found, varyNamesOf } from '../stored/entries.ts';
import { type Entry, namedFields } from '../stored/entry.ts';
import type { Epoch } from '../stored/epochs.ts';
import type { GatheringRoom } from '../stored/gatheringRoom.ts';
import { type Audience, audienceText } from '../stored/key.ts';
import { Recorder } from '../stored/recorder.ts';
import type { FillContext, FillOptions } from './fill.ts';
import { Flight } from './flight.ts';
import { Habits } from './habits.ts';
import { learnFromHead } from './headAnswer.ts';
import type { Shareable } from './landing.ts';
import type { Visit } from './visit.ts';

/** Answers asked for anew behind their readers' backs at a time: nobody's permit bounds them. */
const MOST_REFRESHES = 10;

export interface ResponseCacheOptions {
  readonly store: ResponseStore;
  readonly origin: RequestHandler;
  readonly defaultTtlMs: number;
  readonly maxBodyBytes: number;
  readonly room: GatheringRoom;
  readonly staleIfErrorMs: number;
  readonly onError: (error: Error) => void;
  readonly onDeclined: () => void;
  readonly clock: Clock;
}

/** Decides for one GET or HEAD after another whether what is stored will do, and who asks the service if not. */
export class ResponseCache {
  readonly #store: ResponseStore;
  readonly #context: FillContext;
  readonly #entries: Entries;
  readonly #onDeclined: () => void;
  readonly #clock: Clock;
  /** By the key of what is missing. */
  readonly #flights = new Map<string, Slip>();
  readonly #habits: Habits;
  #refreshes = 0;

  constructor({
    store,
    clock,
    onError,
    onDeclined,
    staleIfErrorMs,
    defaultTtlMs,
    ...rest
  }: ResponseCacheOptions) {
    this.#store = store;
    this.#onDeclined = onDeclined;
    this.#clock = clock;
    this.#entries = new Entries({ store, now: () => clock.now(), staleIfErrorMs, onError });
    this.#context = {
      ...rest,
      clock,
      onError,
      onDeclined,
      staleIfErrorMs,
      entries: this.#entries,
      policy: new Policy(defaultTtlMs),
      heads: new Heads(),
      lineCheck: new LineCheck(),
    };
    this.#habits = new Habits(clock);
  }

  /** Answers, at once where that needs nothing that is not known here. */
  answer(visit: Visit): void {
    // What could not be stored a moment ago will not be there now.
    if (!visit.terms.onlyIfCached && this.#habits.isUnstorable(visit)) {
      this.#pass(visit, 'uri-miss');
      return;
    }
    const found = this.#entries.findNow(visit.quest);
    if (found) this.#use(visit, found);
    else this.#answerLater(visit).catch(visit.next);
  }

  async #answerLater(visit: Visit): Promise<void> {
    const found = await this.#find(visit);
    const { abortReason } = visit.exchange;
    if (abortReason) visit.next(abortReason);
    else if (found) this.#use(visit, found);
    else this.#pass(visit, 'bypass');
  }

  #use(visit: Visit, found: Found): void {
    const { entry } = found;
    const use = entry ? this.#reuse(entry, visit) : 'validate';
    if (entry && use !== 'validate') {
      visit.give(entry, { kind: 'hit', ttlMs: this.#ttlMs(entry) }, this.#clock.now());
      if (use === 'serve-and-refresh') this.#refresh(visit, found);
      return;
    }
    if (visit.terms.onlyIfCached) visit.next(new NotCachedError());
    else this.#ask(visit, found);
  }

  /** Everything stored under a path of a service is void from now on. */
  invalidate(service: string, path: string): void {
    this.#entries.invalidate(service, path).catch(this.#context.onError);
  }

  async #find(visit: Visit): Promise<Found | undefined> {
    try {
      return await this.#entries.find(visit.quest);
    } catch (error) {
      this.#context.onError(error as Error);
      return undefined;
    }
  }

  /** Nothing that is stored will do: the service is asked, by this request or by one that does so already. */
  #ask(visit: Visit, found: Found): void {
    const reason = this.#reasonFor(visit, found);
    const isHead = visit.req.method === 'HEAD';
    if (isHead && found.entry) learnFromHead(visit, found, this.#context);
    const isForOne = isHead || visit.req.headers.range !== undefined;
    if (isForOne || !this.#isWorthStoring(visit, found)) this.#pass(visit, reason);
    else this.#askIn(this.#entries.epochFor(visit.quest, found), visit, found, reason);
  }

  #askIn(epoch: Epoch, visit: Visit, found: Found, reason: Forward): void {
    const audience = this.#habits.audienceOf(visit);
    const isAlone = reason === 'request' || audience === undefined;
    if (isAlone || this.#habits.isStale(visit, audience)) {
      this.#askAlone(epoch, visit, found, reason);
      return;
    }
    const key = flightKey(visit, found, audience, epoch);
    const underWay = this.#flights.get(key);
    // Who comes after a purge must not be given what was asked for before it.
    if (underWay?.flight && underWay.purgeVersion === found.purgeVersion)
      this.#follow(underWay.flight, epoch, visit, found, reason).catch(visit.next);
    else this.#depart({ visit, found, epoch, audience, reason, inBackground: false });
  }

  async #follow(flight: Flight, epoch: Epoch, visit: Visit, found: Found, reason: Forward): Promise<void> {
    const landing = await flight.follow(visit);
    const { abortReason } = visit.exchange;
    if (abortReason) return visit.next(abortReason);
    const nowMs = this.#clock.now();
    if (landing?.kind === 'stand-in' && this.#isFor(visit, landing)) {
      const detail = 'stale-if-error';
      const ttlMs = this.#ttlMs(landing.entry);
      return visit.give(landing.entry, { kind: 'forward', reason, collapsed: true, ttlMs, detail }, nowMs);
    }
    if (
      landing?.kind === 'entry' &&
      this.#isFor(visit, landing) &&
      this.#reuse(landing.entry, visit) === 'serve'
    ) {
      return visit.give(landing.entry, { kind: 'forward', reason, collapsed: true }, nowMs);
    }
    this.#askAlone(epoch, visit, found, reason);
  }

  /** Asks for itself, storing what comes if that may be; nobody waits for it. */
  #askAlone(epoch: Epoch, visit: Visit, found: Found, reason: Forward): void {
    if (found.entry && hasValidator(namedFields(found.entry))) {
      this.#depart({ visit, found, epoch, audience: undefined, reason, inBackground: false });
      return;
    }
    this.#record(visit, found, epoch);
    this.#pass(visit, reason);
  }

  #record(visit: Visit, { purgeVersion }: Found, epoch: Epoch): void {
    const { clock, onError } = this.#context;
    const recorder = new Recorder(this.#context, clock.now(), {
      recorded: (recording) => {
        const audience = visit.audienceFor(recording.terms.isShared);
        if (!audience) return;
        this.#habits.unlearn(visit, audience);
        this.#entries
          .store(entryOf(recording, audience, purgeVersion), audience, epoch, visit.quest)
          .catch(onError);
      },
    });
    visit.response.observe(recorder);
    // What breaks off has no end.
    visit.exchange.onClose(() => recorder.giveUp());
  }

  #pass(visit: Visit, reason: Forward): void {
    visit.pronounce({ kind: 'forward', reason });
    this.#context.origin(visit.req, visit.res, visit.next);
  }

  #refresh(visit: Visit, found: Found): void {
    const audience = this.#habits.audienceOf(visit);
    if (!audience || this.#refreshes >= MOST_REFRESHES) return;
    const epoch = this.#entries.epochFor(visit.quest, found);
    const key = flightKey(visit, found, audience, epoch);
    if (this.#flights.get(key)?.purgeVersion === found.purgeVersion) return;
    this.#refreshes += 1;
    this.#depart({ visit, found, epoch, audience, reason: 'stale', inBackground: true });
  }

  #depart({ visit, audience, found, epoch, reason, inBackground }: Departure): void {
    const { purgeVersion } = found;
    const key = audience && flightKey(visit, found, audience, epoch);
    const slip: Slip = { flight: undefined, purgeVersion };
    const flight = new Flight(this.#context, {
      visit,
      found,
      epoch,
      reason,
      inBackground,
      leaseKey: audience && this.#store.isShared ? leaseKey(visit, found, audience) : undefined,
      store: this.#store,
      onLanded: (landing) => {
        if (key && this.#flights.get(key) === slip) this.#flights.delete(key);
        slip.flight = undefined;
        if (inBackground) this.#refreshes -= 1;
        this.#habits.learn(visit, landing);
      },
    });
    if (key) this.#flights.set(key, slip);
    slip.flight = flight;
    flight.start();
  }

  /** What is stored already is kept up to date; for the rest a full store may have no room. */
  #isWorthStoring({ quest }: Visit, { entry }: Found): boolean {
    if (entry || this.#store.admits(quest.resource.target)) return true;
    this.#onDeclined();
    return false;
  }

  #reasonFor({ terms }: Visit, { entry, missing }: Found): Forward {
    if (terms.noCache) return 'request';
    if (!entry) return missing;
    return this.#ttlMs(entry) > 0 ? 'request' : 'stale';
  }

  /** Whether another's answer is one for this request as well: meant for its sender, and for what it says. */
  #isFor({ quest }: Visit, { entry, selecting }: Shareable): boolean {
    const names = varyNamesOf(entry);
    const saysTheSame = selectingKey(names, selecting) === selectingKey(names, quest.selecting);
    return saysTheSame && quest.audiences.some((audience) => audienceText(audience) === entry.audience);
  }

  #reuse(entry: Entry, visit: Visit): Reuse {
    return reuse(entry.terms, this.#clock.now() - entry.generatedAtMs, visit.terms);
  }

  #ttlMs({ generatedAtMs, terms }: Entry): number {
    return generatedAtMs + terms.lifetimeMs - this.#clock.now();
  }
}

interface Departure extends FillOptions {
  /** Whose requests may follow; undefined for nobody's. */
  readonly audience: Audience | undefined;
}

/** One that is emptied: of a `Map` whose keys come and go V8 keeps old tables, with all that was in them. */
interface Slip {
  flight: Flight | undefined;
  /** The last purge that was known when it began. */
  readonly purgeVersion: number;
}

/** Requests with the same key would be given the same answer, as far as can be known before it is there. */
function flightKey({ quest }: Visit, { vary }: Found, audience: Audience, { word }: Epoch): string {
  return quest.keys.variant(audience, word, selectingKey(vary, quest.selecting));
}

/** The same for all gateways: an epoch that is made up is known to one only. */
function leaseKey({ quest }: Visit, { epoch = '', vary, purgeVersion }: Found, audience: Audience): string {
  const variant = selectingKey(vary, quest.selecting);
  return `cache:lease:${purgeVersion} ${quest.keys.variant(audience, epoch, variant)}`;
}
