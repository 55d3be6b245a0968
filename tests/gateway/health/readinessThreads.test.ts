import { describe, expect, it } from '@jest/globals';
import { Readiness } from '../../../gateway/health/readiness.ts';
import { StoreHealth } from '../../../gateway/health/storeHealth.ts';
import { Serving } from '../../../gateway/threads/serving.ts';
import { Shares } from '../../../gateway/threads/shares.ts';

const WORKERS = 2;
const ONE_MISSING = { missing: [], degraded: { workers: '1 of 2 workers take requests' } };
const PORTS = ['external', 'internal'] as const;

/** The readiness of the workers of these numbers, and what the main thread sees. */
function newWorkers(...threadNumbers: number[]) {
  const main = new Shares(0, 1 + 2 * WORKERS);
  const serving = new Serving(main, WORKERS);
  const workers = threadNumbers.map((threadNumber) => {
    const own = new Serving(new Shares(threadNumber, main.threadCount, main.buffers), WORKERS);
    const threads = { serving: () => own.state, serves: (serves: boolean) => own.set(serves) };
    const store = new StoreHealth({
      stores: { trouble: async () => undefined, degraded: async () => undefined },
    });
    return new Readiness({ store, registry: { asked: true }, threads });
  });
  return { serving, workers: workers as [Readiness, Readiness, ...Readiness[]] };
}

describe.each(PORTS)('the readiness of two workers, on the %s port', (port) => {
  it('needs both to listen, at first', async () => {
    const { workers } = newWorkers(1, 2);
    const [one, other] = workers;
    one.listening();
    expect(await one.state(port)).toEqual({ missing: ['listening'] });
    other.listening();
    expect([await one.state(port), await other.state(port)]).toEqual([{ missing: [] }, { missing: [] }]);
  });

  it('says that one has ended, until another listens in its place, and goes on', async () => {
    const { serving, workers } = newWorkers(1, 2, 3);
    const [one, other, third] = workers;
    for (const worker of [one, other]) worker.listening();
    serving.leave(2);
    expect(await one.state(port)).toEqual(ONE_MISSING);
    expect(await third?.state(port)).toMatchObject({ missing: ['listening'] });
    third?.listening();
    expect(await one.state(port)).toEqual({ missing: [] });
  });

  it('ends for both when the gateway is told to end, before they are', async () => {
    const { serving, workers } = newWorkers(1, 2);
    const [one, other] = workers;
    for (const worker of [one, other]) worker.listening();
    serving.stop();
    for (const worker of [one, other]) expect(await worker.state(port)).toEqual({ missing: ['draining'] });
  });

  it('ends for one that drains, and the other says that it is alone', async () => {
    const { workers } = newWorkers(1, 2);
    const [one, other] = workers;
    for (const worker of [one, other]) worker.listening();
    other.drain();
    expect(await one.state(port)).toEqual(ONE_MISSING);
    expect(await other.state(port)).toMatchObject({ missing: ['draining'] });
  });
});
