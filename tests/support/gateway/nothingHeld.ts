import { expect } from '@jest/globals';
import { eventually } from '../eventually.ts';
import type { TestGateway } from './gateway.ts';

/** Waits until nothing of the requests so far is held any more: no permit, and no replica counted as busy. */
export async function expectNothingHeld(test: TestGateway): Promise<void> {
  await eventually('nothing is held', async () => {
    expect(await test.metric('gateway_concurrent_requests')).toBe(0);
    expect(await test.metric('gateway_lb_instance_in_flight')).toBe(0);
    return true;
  });
}

/** Waits until `count` requests are under way at their services. */
export async function underWay(test: TestGateway, count: number): Promise<void> {
  await eventually(
    `${count} requests under way`,
    async () => (await test.metric('gateway_lb_instance_in_flight')) === count,
  );
}
