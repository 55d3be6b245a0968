import { describe, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../support/gateway.ts';
import { PORTS, type Port } from '../support/gatewayProcess.ts';
import { ManualClock } from '../support/manualClock.ts';
import { underWay } from '../support/nothingHeld.ts';
import { startUpstream, type Upstream } from '../support/upstream.ts';

const REQUEST_TIMEOUT_MS = 3000;
const CALLS = 6;

/** A replica that answers its health check at once, and nothing else until the test says so. */
async function startBusy() {
  const waiting: (() => void)[] = [];
  const upstream = await startUpstream((req, res) => {
    if (req.url === '/health') res.end();
    else waiting.push(() => void res.end('done'));
  });
  const finish = () => {
    for (const answer of waiting.splice(0)) answer();
  };
  return Object.assign(upstream, { finish });
}

const checksOf = ({ requests }: Upstream) => requests.filter(({ target }) => target === '/health').length;

async function ask(gateway: TestGateway, port: Port): Promise<string> {
  const url = port === 'external' ? `${gateway.external}/busy` : `${gateway.internal}/internal/busy`;
  const answer = await fetch(`${url}/x?${crypto.randomUUID()}`, {
    headers: port === 'external' ? bearer(tokenFor('ann')) : {},
  });
  return `${answer.status} ${await answer.text()}`;
}

describe.each(PORTS)(
  'on the %s port, replicas that are busy for nearly as long as a request may take',
  (port) => {
    it('are asked whether they live, and left to finish', async () => {
      await using a = await startBusy();
      await using b = await startBusy();
      const clock = new ManualClock();
      await using gateway = await startGateway({ services: { '/busy': [a, b] }, clock });
      const calls = Array.from({ length: CALLS }, () => ask(gateway, port));
      await underWay(gateway, CALLS);
      await eventually('they have the requests', () => a.requests.length + b.requests.length === CALLS);
      clock.advance(REQUEST_TIMEOUT_MS / 2);
      await eventually('both are asked', () => checksOf(a) === 1 && checksOf(b) === 1);
      await eventually('their answers have been heard', () => a.open + b.open === CALLS);
      // Until after the time in which a probe must be answered.
      clock.advance(REQUEST_TIMEOUT_MS * 0.4);
      a.finish();
      b.finish();
      expect(await Promise.all(calls)).toEqual(Array(CALLS).fill('200 done'));
      expect(await gateway.metric('gateway_failovers_total')).toBe(0);
      expect(await gateway.metric('gateway_circuit_breaker_failures_total')).toBe(0);
      expect(gateway.logLines().filter(({ message }) => String(message).includes('hangs'))).toEqual([]);
    });
  },
);
