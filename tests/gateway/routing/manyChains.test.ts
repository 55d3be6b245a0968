import { expect, it } from '@jest/globals';
import { externalApp } from '../../../gateway/apps.ts';
import { dryParts } from '../../../gateway/explain/dryParts.ts';
import { load } from '../../support/gateway/settings.ts';

const FEW = 500;
const TIMES = 8;
/** In quadratic time it would be 64; the rest is what a machine that does other things as well may add. */
const MOST_TIMES = 24;

/** How long it takes to make the chains of so many routes, none of which can have another's. */
async function timeFor(count: number): Promise<number> {
  const routes = Array.from({ length: count }, (_, i) => {
    return { match: { path: `/r${i}/**` }, limits: { concurrency: 1 + i } };
  });
  const services = [{ name: 'a', path: '/a', upstreams: ['http://a'], routes }];
  const settings = load({ GATEWAY_FILE: 'gateway.json' }, { 'gateway.json': JSON.stringify({ services }) });
  const parts = await dryParts(settings);
  const begunAt = performance.now();
  externalApp(parts);
  const ms = performance.now() - begunAt;
  parts.stopKeys();
  return ms;
}

it('eight times as many chains take about eight times as long', async () => {
  await timeFor(FEW);
  const few = Math.min(await timeFor(FEW), await timeFor(FEW));
  expect((await timeFor(FEW * TIMES)) / few).toBeLessThan(MOST_TIMES);
}, 120_000);
