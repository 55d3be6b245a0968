import { beforeEach, describe, expect, it } from '@jest/globals';
import { Attempt } from '../lib/exchange/attempt.ts';
import { Replica } from '../lib/loadbalancer/replica.ts';
import { Watchdog, type WatchdogOptions } from '../lib/loadbalancer/watchdog.ts';
import { BrokenListener } from './support/brokenListener.ts';
import { type Deferred, deferred } from './support/deferred.ts';
import { ManualClock } from './support/manualClock.ts';

const PATIENCE_MS = 1500;

describe('Watchdog', () => {
  let clock: ManualClock;
  let probes: { readonly id: string; readonly answer: Deferred<boolean> }[];
  let hanging: { readonly id: string; readonly attempts: readonly Attempt[] }[];

  beforeEach(() => {
    clock = new ManualClock();
    probes = [];
    hanging = [];
  });

  function watchdog(options: Partial<WatchdogOptions> = {}): Watchdog {
    return new Watchdog({
      patienceMs: PATIENCE_MS,
      probe: ({ id }) => {
        const answer = deferred<boolean>();
        probes.push({ id, answer });
        return answer.promise;
      },
      onHanging: ({ id }, attempts) => void hanging.push({ id, attempts }),
      clock,
      ...options,
    });
  }

  /** The answer to the latest probe, and what follows from it. */
  async function answerProbe(alive: boolean): Promise<void> {
    probes.at(-1)?.answer.resolve(alive);
    await new Promise(setImmediate);
  }

  const replica = (id = 'a') => Replica.at(`http://${id}`);

  function begin(dog: Watchdog, to: Replica): Attempt {
    const attempt = new Attempt(to, { repeatable: true });
    dog.watch(to, attempt);
    return attempt;
  }

  it('asks a replica that is silent for longer than patience lasts, and reports what waits there', async () => {
    const dog = watchdog();
    const target = replica();
    const first = begin(dog, target);
    clock.advance(100);
    const second = begin(dog, target);
    clock.advance(PATIENCE_MS - 101);
    expect(probes).toHaveLength(0);
    clock.advance(1);
    expect(probes).toHaveLength(1);
    expect(hanging).toHaveLength(0);
    await answerProbe(false);
    expect(hanging).toEqual([{ id: 'a', attempts: [first, second] }]);
  });

  it('leaves a replica alone that answers the probe, and asks again when its patience is over again', async () => {
    const dog = watchdog();
    begin(dog, replica());
    clock.advance(PATIENCE_MS);
    await answerProbe(true);
    expect(hanging).toHaveLength(0);
    clock.advance(PATIENCE_MS - 1);
    expect(probes).toHaveLength(1);
    clock.advance(1);
    expect(probes).toHaveLength(2);
    await answerProbe(false);
    expect(hanging).toHaveLength(1);
  });

  it('takes any answer to anybody for a sign of life', async () => {
    const dog = watchdog();
    const target = replica();
    begin(dog, target);
    clock.advance(PATIENCE_MS - 1);
    begin(dog, target).answered(500);
    clock.advance(PATIENCE_MS - 1);
    expect(probes).toHaveLength(0);
    clock.advance(1);
    expect(probes).toHaveLength(1);
  });

  it('takes an answer that comes during the probe for a sign of life', async () => {
    const dog = watchdog();
    const target = replica();
    begin(dog, target);
    const other = begin(dog, target);
    clock.advance(PATIENCE_MS);
    clock.advance(1);
    other.answered(200);
    await answerProbe(false);
    expect(hanging).toHaveLength(0);
  });

  it('does not report what was answered or given up while it asked', async () => {
    const dog = watchdog();
    const target = replica();
    const left = begin(dog, target);
    const waiting = begin(dog, target);
    clock.advance(PATIENCE_MS);
    left.end({ kind: 'abandoned' });
    await answerProbe(false);
    expect(hanging).toEqual([{ id: 'a', attempts: [waiting] }]);
  });

  it('counts silence from the oldest request that waits, not from the last answer before it', async () => {
    const dog = watchdog();
    const target = replica();
    begin(dog, target).answered(200);
    clock.advance(PATIENCE_MS - 1);
    begin(dog, target);
    clock.advance(PATIENCE_MS - 1);
    expect(probes).toHaveLength(0);
    clock.advance(1);
    expect(probes).toHaveLength(1);
  });

  it('tells replicas apart', async () => {
    const dog = watchdog();
    begin(dog, replica('a'));
    const answering = replica('b');
    begin(dog, answering).answered(200);
    clock.advance(PATIENCE_MS);
    await answerProbe(false);
    expect(hanging.map(({ id }) => id)).toEqual(['a']);
    expect(probes.map(({ id }) => id)).toEqual(['a']);
  });

  it('has one timer for a replica, and none once nothing waits there', () => {
    const dog = watchdog();
    const target = replica();
    const attempts = Array.from({ length: 1000 }, () => begin(dog, target));
    expect(clock.pending).toBe(1);
    for (const attempt of attempts) attempt.end({ kind: 'completed' });
    clock.advance(PATIENCE_MS);
    expect(clock.pending).toBe(0);
    expect(probes).toHaveLength(0);
  });

  it('watches again after it had nothing to watch', async () => {
    const dog = watchdog();
    const target = replica();
    begin(dog, target).end({ kind: 'completed' });
    clock.advance(10 * PATIENCE_MS);
    begin(dog, target);
    clock.advance(PATIENCE_MS);
    expect(probes).toHaveLength(1);
  });

  it('asks once at a time, however long the answer takes', () => {
    const dog = watchdog();
    const target = replica();
    begin(dog, target);
    clock.advance(PATIENCE_MS);
    begin(dog, target);
    clock.advance(10 * PATIENCE_MS);
    expect(probes).toHaveLength(1);
  });

  it('does nothing more after dispose, not even with the answer to a probe under way', async () => {
    const dog = watchdog();
    const target = replica();
    begin(dog, target);
    clock.advance(PATIENCE_MS);
    dog.dispose();
    await answerProbe(false);
    expect(hanging).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it('goes on when whoever it reports to throws', async () => {
    using broken = new BrokenListener();
    const dog = watchdog({ onHanging: broken.listen });
    begin(dog, replica());
    clock.advance(PATIENCE_MS);
    await answerProbe(false);
    clock.advance(PATIENCE_MS);
    expect(probes).toHaveLength(2);
  });
});
