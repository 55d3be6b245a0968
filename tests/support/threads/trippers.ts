import { workerData } from 'node:worker_threads';
import { completeService } from '../../../config/routes/complete.ts';
import { received } from '../../../gateway/threads/sent.ts';
import { Shares } from '../../../gateway/threads/shares.ts';
import { ServiceReplicas } from '../../../gateway/wiring/services/replicas.ts';
import { threadsClock } from '../../../lib/clock/threadsClock.ts';
import { answerWith } from './place.ts';

/** Fails one replica so many times at the very moment at which the others fail theirs. */
export interface TripOrder {
  readonly replica: string;
  readonly rounds: number;
  readonly trippers: number;
}

const { threadNumber, threadCount, buffers, sent, rules } = workerData;
const barrier: Int32Array = workerData.barrier;
const shares = new Shares(threadNumber, threadCount, buffers);
const service = new ServiceReplicas({
  service: completeService(rules.service, rules.defaults),
  ...rules.breaker,
  clock: threadsClock,
  random: Math.random,
  threads: {
    threadCount,
    newShare: shares.allocate,
    openings: shares.of('openings', () => ({ whole: 0 })),
    replicas: received(sent, shares),
  },
  onBreakerEvent: () => {},
  onDeparted: () => {},
  onIdle: () => {},
});

/** Turns before a thread sleeps: whoever comes last may have no core just now. */
const SPINS = 20_000;

/** Goes on when all have come, as far as can be at the same moment. */
function meet(trippers: number): void {
  const arrived = Atomics.add(barrier, 0, 1) + 1;
  const last = Math.ceil(arrived / trippers) * trippers;
  if (arrived === last) Atomics.notify(barrier, 0);
  for (let spins = 0; Atomics.load(barrier, 0) < last; spins += 1) {
    if (spins > SPINS) Atomics.wait(barrier, 0, Atomics.load(barrier, 0), 1);
  }
}

/** How many replicas were open at most, as this thread saw it between two rounds. */
answerWith(({ replica, rounds, trippers }: TripOrder): number => {
  const breaker = service.breakerOf(replica);
  let most = 0;
  for (let round = 0; round < rounds; round += 1) {
    const permit = breaker.tryAcquire('ann');
    meet(trippers);
    permit?.fail('bad');
    meet(trippers);
    const open = service.pool.replicas.filter(({ key }) => service.breakerState(key) === 'open');
    most = Math.max(most, open.length);
    meet(trippers);
    breaker.hintRecovered();
    breaker.tryAcquire('ann')?.succeed();
  }
  return most;
});
