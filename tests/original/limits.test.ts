import { expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.ts';
import { bearer, startGateway, tokenFor } from '../support/gateway/gateway.ts';
import { startGated } from '../support/upstreams/gated.ts';

const headers = bearer(tokenFor('ann'));
const TOO_MANY = 429;

/** Statuses of fifteen GETs at once, as of `ab -c 15`. */
async function fifteen(url: string): Promise<number[]> {
  const responses = await Promise.all(Array.from({ length: 15 }, () => fetch(url, { headers })));
  return responses.map(({ status }) => status);
}

it('fifteen at once on a stored response meet no limit of ten', async () => {
  await using upstream = await startGated();
  await using gateway = await startGateway({ services: { '/budgeting': [upstream] } });
  const url = `${gateway.external}/budgeting/api/transactions`;
  const first = fetch(url, { headers });
  await eventually('it is asked', () => upstream.waiting.length === 1);
  upstream.answerOne();
  await (await first).text();
  expect(await fifteen(url)).toEqual(Array(15).fill(200));
});

it('fifteen at once on what is not stored: ten wait for one response, five get 429', async () => {
  await using upstream = await startGated();
  await using gateway = await startGateway({ services: { '/budgeting': [upstream] } });
  const statuses = fifteen(`${gateway.external}/budgeting/api/transactions`);
  const refused = () => gateway.metric('gateway_concurrency_limit_reached_total', { service: '/budgeting' });
  await eventually('five are refused', async () => (await refused()) === 5);
  expect(upstream.waiting).toHaveLength(1);
  upstream.answerOne();
  expect((await statuses).filter((status) => status === TOO_MANY)).toHaveLength(5);
});
