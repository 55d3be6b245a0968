import { setTimeout as sleep } from 'node:timers/promises';
import { workerData } from 'node:worker_threads';
import { isPermit, type Permit } from '../../../lib/concurrency/permits.ts';
import { SharedSemaphore } from '../../../lib/threads/concurrency/sharedSemaphore.ts';
import { answerWith, ownShare } from './place.ts';

export type CallersOrder =
  /** So many callers come at once; each stays for a moment `times` times. Answers when all have had their turns. */
  | { readonly kind: 'visit'; readonly callers: number; readonly times: number }
  /** Takes so many permits, answers how many it holds, and keeps them. */
  | { readonly kind: 'hold'; readonly permits: number; readonly caller?: string }
  /** Waits for one permit; answers once it has it. */
  | { readonly kind: 'wait'; readonly caller?: string }
  /** Begins to wait, so that only this thread's end ends it. */
  | { readonly kind: 'queue'; readonly callers: number; readonly caller?: string }
  /** Gives one permit back. */
  | { readonly kind: 'release' }
  /** Nobody catches what it throws. */
  | { readonly kind: 'crash' };

const semaphore = new SharedSemaphore({ ...workerData.options, share: ownShare() });
const inside = new Int32Array(workerData.inside);
const held: Permit[] = [];
const NEVER = new AbortController().signal;

async function visit(times: number): Promise<void> {
  for (let i = 0; i < times; i += 1) {
    const permit = await semaphore.acquire(NEVER);
    if (!isPermit(permit)) throw new Error('refused although the queue has room');
    const now = Atomics.add(inside, 0, 1) + 1;
    if (now > Atomics.load(inside, 1)) Atomics.store(inside, 1, now);
    await sleep(Math.random() * 3);
    Atomics.sub(inside, 0, 1);
    permit.release();
  }
}

answerWith(async (order: CallersOrder) => {
  switch (order.kind) {
    case 'visit':
      await Promise.all(Array.from({ length: order.callers }, () => visit(order.times)));
      return 'done';
    case 'hold': {
      const permits = Array.from({ length: order.permits }, () => semaphore.tryAcquire(order.caller));
      held.push(...permits.filter(isPermit));
      return held.length;
    }
    case 'wait': {
      const permit = await semaphore.acquire(NEVER, order.caller);
      if (isPermit(permit)) held.push(permit);
      return isPermit(permit) ? 'admitted' : permit;
    }
    case 'queue':
      for (let i = 0; i < order.callers; i += 1) void semaphore.acquire(NEVER, order.caller);
      return semaphore.waiting;
    case 'release':
      held.shift()?.release();
      return semaphore.held;
    case 'crash':
      return setImmediate(() => {
        throw new Error('nobody catches this');
      }).hasRef();
  }
});
