import { describe, expect, it } from '@jest/globals';
import { Readiness } from '../gateway/readiness.ts';
import { Serving } from '../gateway/threads/serving.ts';
import { Shares } from '../gateway/threads/shares.ts';
import type { Stores } from '../lib/store/store.ts';

const WORKERS = 2;
const stores = { trouble: async () => undefined } as Stores;

/** The readiness of the workers at these seats, and what the main thread sees. */
function newWorkers(...seats: number[]) {
  const main = new Shares(0, 1 + 2 * WORKERS);
  const serving = new Serving(main, WORKERS);
  const workers = seats.map((seat) => {
    const own = new Serving(new Shares(seat, main.seats, main.buffers), WORKERS);
    const threads = { allServe: () => own.allServe, serves: (serves: boolean) => own.set(serves) };
    return new Readiness(stores, { asked: true }, threads);
  });
  return { serving, workers: workers as [Readiness, Readiness, ...Readiness[]] };
}

describe('the readiness of two workers', () => {
  it('needs both to listen', async () => {
    const { workers } = newWorkers(1, 2);
    const [one, other] = workers;
    one.listening();
    expect((await one.state()).missing).toEqual(['listening']);
    other.listening();
    expect([(await one.state()).missing, (await other.state()).missing]).toEqual([[], []]);
  });

  it('ends with one that ends, until another listens in its place', async () => {
    const { serving, workers } = newWorkers(1, 2, 3);
    const [one, other, third] = workers;
    for (const worker of [one, other]) worker.listening();
    serving.leave(2);
    expect((await one.state()).missing).toEqual(['listening']);
    third?.listening();
    expect((await one.state()).missing).toEqual([]);
  });

  it('ends for both when one drains', async () => {
    const { workers } = newWorkers(1, 2);
    const [one, other] = workers;
    for (const worker of [one, other]) worker.listening();
    other.drain();
    expect((await one.state()).missing).toEqual(['listening']);
    expect((await other.state()).missing).toEqual(['listening', 'draining']);
  });
});
