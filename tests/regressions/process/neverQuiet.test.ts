import { expect, it } from '@jest/globals';
import { RawClient, request } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { startGateway } from '../../support/gateway/gateway.ts';

const GRACE_MS = 4_000;
const BUSY_MS = 20;

/** Lets no turn of the event loop be short, as on a machine that has too much to do. */
function keepBusy(): Disposable {
  let stopped = false;
  const turn = () => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BUSY_MS);
    if (!stopped) setImmediate(turn);
  };
  setImmediate(turn);
  return {
    [Symbol.dispose]() {
      stopped = true;
    },
  };
}

// The wait for a quiet turn used up the grace: every idle connection was then closed at once, without a word.
it('a drain tells its clients to leave while there is time, also when its process is never idle', async () => {
  await using test = await startGateway({
    services: { '/up': [] },
    env: { DRAIN_GRACE: `${GRACE_MS}ms`, DRAIN_TIMEOUT: '10s' },
  });
  using client = await RawClient.to(test.internal);
  using _busy = keepBusy();
  const stoppingAtMs = performance.now();
  const stopped = test.gateway.stop();
  let asked = 0;
  await eventually('an answer that ends its connection', async () => {
    asked += 1;
    client.send(request('GET /healthz', 'Connection: keep-alive'));
    await eventually('it', () => client.received.match(/HTTP\/1\.1 200/g)?.length === asked);
    return /connection: close/i.test(client.received);
  });
  expect(performance.now() - stoppingAtMs).toBeLessThan(GRACE_MS);
  await stopped;
}, 30_000);
