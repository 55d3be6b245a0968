import type { Admission } from '../../exchange/attempt.ts';
import { loadOf } from '../../loadbalancer/choice/load.ts';
import { identityAt, type ReplicaIdentity } from '../../loadbalancer/instance.ts';
import type { Registered } from '../../loadbalancer/registry/registered.ts';
import type { Replica } from '../../loadbalancer/replica.ts';
import type { CellsSize, Share } from '../cells.ts';

const IN_FLIGHT = 0;
/** The recent ones; what a registry says and what does not fit are in a fraction. */
const REQUESTS = 1;
const START_STEPS_LEFT = 2;
const ADMISSION = 3;
/** Who says so, as bits. Only the thread that asks registry and replicas writes it. */
const UNHEALTHY = 4;
/** From here on: how many requests each thread has under way. */
const FIRST_THREAD = 5;

const EARLIER_REQUESTS = 0;
const TURN = 1;
const HEARD_AT = 2;
const SILENT_FROM = 3;
const SILENT_UNTIL = 4;
const SILENT_CALLER = 5;
const TOOK = 6;
const DUE = 7;

const MOST_RECENT = 2 ** 30;

/** The registry calls it unhealthy. */
const BY_REGISTRY = 1;
/** It does not pass the gateway's own checks. */
const BY_CHECKS = 2;

const ADMISSIONS = ['all', 'trial', 'none'] as const;
const NONE = ADMISSIONS.indexOf('none');

/** A `Replica` that several threads see, with its numbers in cells. */
export class ThreadsReplica implements Replica {
  readonly key: string;
  readonly id: string;
  readonly url: URL;
  registered: Registered;
  listed: boolean;
  weight: number;
  interval = 0;
  /** This thread's part in the numbers, of `ThreadsReplica.sizeFor`. */
  readonly counts: Share;

  constructor(
    { key, id, url, registered, listed, weight = 1 }: ReplicaIdentity & Partial<Pick<Replica, 'weight'>>,
    counts: Share,
  ) {
    this.key = key;
    this.id = id;
    this.url = url;
    this.registered = registered;
    this.listed = listed;
    this.weight = weight;
    this.counts = counts;
  }

  /** A replica that only the settings list. Its name is added to those that are `taken` by others of its service. */
  static at(origin: string, counts: Share, taken = new Set<string>()): ThreadsReplica {
    return new ThreadsReplica(identityAt(origin, taken), counts);
  }

  static sizeFor(threadCount: number): CellsSize {
    return { whole: FIRST_THREAD + threadCount, fractions: 8 };
  }

  get inFlight(): number {
    return this.counts.cells.glance(IN_FLIGHT);
  }

  /** Of this thread alone: other threads close connections of their own. */
  get isIdle(): boolean {
    return this.counts.cells.glance(FIRST_THREAD + this.counts.threadNumber) === 0;
  }

  get requestCount(): number {
    return this.counts.cells.glance(REQUESTS) + this.#fraction(EARLIER_REQUESTS);
  }

  get turn(): number {
    return this.#fraction(TURN);
  }

  get due(): number {
    return this.#fraction(DUE);
  }

  set due(due: number) {
    this.counts.cells.fractions[DUE] = due;
  }

  get startStepsLeft(): number {
    return this.counts.cells.glance(START_STEPS_LEFT);
  }

  set startStepsLeft(steps: number) {
    this.counts.cells.set(START_STEPS_LEFT, steps);
  }

  get healthy(): boolean {
    return this.counts.cells.glance(UNHEALTHY) === 0;
  }

  get listedHealthy(): boolean {
    return (this.counts.cells.glance(UNHEALTHY) & BY_REGISTRY) === 0;
  }

  set listedHealthy(healthy: boolean) {
    this.#setUnhealthy(BY_REGISTRY, !healthy);
  }

  get passesChecks(): boolean {
    return (this.counts.cells.glance(UNHEALTHY) & BY_CHECKS) === 0;
  }

  set passesChecks(passes: boolean) {
    this.#setUnhealthy(BY_CHECKS, !passes);
  }

  get admission(): Admission {
    return ADMISSIONS[this.counts.cells.glance(ADMISSION)] as Admission;
  }

  set admission(admission: Admission) {
    this.counts.cells.set(ADMISSION, ADMISSIONS.indexOf(admission));
  }

  get heardAtMs(): number {
    return this.#fraction(HEARD_AT);
  }

  set heardAtMs(ms: number) {
    this.counts.cells.fractions[HEARD_AT] = ms;
  }

  get tookMs(): number {
    return this.#fraction(TOOK);
  }

  set tookMs(ms: number) {
    this.counts.cells.fractions[TOOK] = ms;
  }

  get silentFromMs(): number {
    return this.#fraction(SILENT_FROM);
  }

  set silentFromMs(ms: number) {
    this.counts.cells.fractions[SILENT_FROM] = ms;
  }

  get silentUntilMs(): number {
    return this.#fraction(SILENT_UNTIL);
  }

  set silentUntilMs(ms: number) {
    this.counts.cells.fractions[SILENT_UNTIL] = ms;
  }

  get silentCaller(): number {
    return this.#fraction(SILENT_CALLER);
  }

  set silentCaller(caller: number) {
    this.counts.cells.fractions[SILENT_CALLER] = caller;
  }

  get load(): number {
    return loadOf(this.inFlight, this.startStepsLeft, this.admission, this.interval);
  }

  get available(): boolean {
    return this.healthy && this.counts.cells.glance(ADMISSION) !== NONE;
  }

  begin(turn: number): void {
    while (!this.beginAt(this.inFlight, turn));
  }

  /** Counts a request as under way, unless `inFlight` has changed since it was read as this; whether it did. */
  beginAt(inFlight: number, turn: number): boolean {
    const { cells, threadNumber } = this.counts;
    if (!cells.replace(IN_FLIGHT, inFlight, inFlight + 1)) return false;
    cells.fractions[TURN] = turn;
    cells.add(FIRST_THREAD + threadNumber, 1);
    if (cells.add(REQUESTS, 1) === MOST_RECENT) this.#makeRoom();
    return true;
  }

  end(): void {
    const { cells, threadNumber } = this.counts;
    cells.add(FIRST_THREAD + threadNumber, -1);
    cells.add(IN_FLIGHT, -1);
  }

  raiseRequestCount(least: number): void {
    const missing = least - this.requestCount;
    if (missing > 0) this.#addEarlier(missing);
  }

  /** Ends what a thread that has ended had under way. */
  leave(threadNumber: number): void {
    const { cells } = this.counts;
    cells.leave(threadNumber);
    cells.add(IN_FLIGHT, -cells.get(FIRST_THREAD + threadNumber));
    cells.set(FIRST_THREAD + threadNumber, 0);
  }

  #setUnhealthy(reason: number, isSo: boolean): void {
    const { cells } = this.counts;
    const others = cells.get(UNHEALTHY) & ~reason;
    cells.set(UNHEALTHY, isSo ? others | reason : others);
  }

  #fraction(index: number): number {
    return this.counts.cells.fractions[index] as number;
  }

  #makeRoom(): void {
    this.#addEarlier(MOST_RECENT);
    this.counts.cells.add(REQUESTS, -MOST_RECENT);
  }

  #addEarlier(requests: number): void {
    const { cells } = this.counts;
    cells.exclusively(() => {
      cells.fractions[EARLIER_REQUESTS] = this.#fraction(EARLIER_REQUESTS) + requests;
    });
  }
}
