import { workerData } from 'node:worker_threads';
import type { Permit } from '../../../lib/circuitbreaker/contract.ts';
import { threadsClock } from '../../../lib/clock/threadsClock.ts';
import { SharedCircuitBreaker } from '../../../lib/threads/circuitbreaker/sharedCircuitBreaker.ts';
import { answerWith, ownShare } from './place.ts';

/** `begin` asks for a permit; the others are for the oldest permit that is still out. Each answers `BreakerReport`. */
export type BreakerOrder = 'look' | 'begin' | 'succeed' | 'fail' | 'abandon';

export interface BreakerReport {
  readonly state: string;
  /** Permits out in this thread. */
  readonly permits: number;
  readonly events: readonly string[];
}

const events: string[] = [];
const permits: Permit[] = [];
const breaker = new SharedCircuitBreaker({
  ...workerData.options,
  clock: threadsClock,
  onEvent: (event) =>
    events.push(event.kind === 'failure' ? `failure ${event.count}` : `${event.from} -> ${event.to}`),
  share: ownShare(),
});

answerWith((order: BreakerOrder): BreakerReport => {
  if (order === 'begin') {
    const permit = breaker.tryAcquire('ann');
    if (permit) permits.push(permit);
  } else if (order !== 'look') {
    const permit = permits.shift();
    if (order === 'fail') permit?.fail('bad');
    else permit?.[order]();
  }
  return { state: breaker.state, permits: permits.length, events };
});
