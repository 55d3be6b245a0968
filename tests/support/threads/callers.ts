import { setTimeout as sleep } from 'node:timers/promises';
import { workerData } from 'node:worker_threads';
import { Limiter, type Release } from '../../../lib/concurrency/limiter.ts';
import { answerWith, ownShare } from './place.ts';

export type CallersOrder =
  /** So many callers come at once; each stays for a moment `times` times. Answers when all have had their turns. */
  | { readonly kind: 'visit'; readonly callers: number; readonly times: number }
  /** Takes so many permits, answers how many it got, and keeps them. */
  | { readonly kind: 'hold'; readonly permits: number }
  /** Waits for one permit; answers once it has it. */
  | { readonly kind: 'wait' }
  /** Begins to wait, so that only this thread's end ends it. */
  | { readonly kind: 'queue'; readonly callers: number }
  /** Gives one permit back. */
  | { readonly kind: 'release' }
  /** Nobody catches what it throws. */
  | { readonly kind: 'crash' };

const limiter = new Limiter({ ...workerData.options, share: ownShare() });
const inside = new Int32Array(workerData.inside);
const held: Release[] = [];
const NEVER = new AbortController().signal;

async function visit(times: number): Promise<void> {
  for (let i = 0; i < times; i += 1) {
    const release = await limiter.acquire(NEVER);
    if (!release) throw new Error('refused although the queue has room');
    const now = Atomics.add(inside, 0, 1) + 1;
    if (now > Atomics.load(inside, 1)) Atomics.store(inside, 1, now);
    await sleep(Math.random() * 3);
    Atomics.sub(inside, 0, 1);
    release();
  }
}

answerWith(async (order: CallersOrder) => {
  switch (order.kind) {
    case 'visit':
      await Promise.all(Array.from({ length: order.callers }, () => visit(order.times)));
      return 'done';
    case 'hold': {
      const permits = Array.from({ length: order.permits }, () => limiter.tryAcquire());
      held.push(...permits.filter((permit) => permit !== undefined));
      return held.length;
    }
    case 'wait': {
      const release = await limiter.acquire(NEVER);
      if (release) held.push(release);
      return release ? 'admitted' : 'refused';
    }
    case 'queue':
      for (let i = 0; i < order.callers; i += 1) void limiter.acquire(NEVER);
      return limiter.waiting;
    case 'release':
      held.shift()?.();
      return limiter.held;
    case 'crash':
      return setImmediate(() => {
        throw new Error('nobody catches this');
      }).hasRef();
  }
});
