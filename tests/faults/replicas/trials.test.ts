import { describe, expect, it } from '@jest/globals';
import { RawClient, request } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, startGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { PORTS } from '../../support/gateway/gatewayProcess.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

const COOLDOWN_MS = 30_000;
const [OPEN, HALF_OPEN] = [1, 2];

describe.each(PORTS)('on the %s port, a trial whose client leaves', (port) => {
  it('frees its place without a verdict', async () => {
    let behaviour: 'fails' | 'hangs' | 'works' = 'fails';
    await using upstream = await startUpstream((_req, res) => {
      if (behaviour !== 'hangs') res.writeHead(behaviour === 'works' ? 200 : 500).end();
    });
    const clock = new ManualClock();
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] }, clock });
    const path = port === 'external' ? '/budgeting/x' : '/internal/budgeting/x';
    const headers: Record<string, string> = port === 'external' ? bearer(tokenFor('ann')) : {};
    const ask = async () => (await fetch(gateway[port] + path, { method: 'POST', headers })).status;
    const state = () => gateway.metric('gateway_circuit_breaker_state');
    const failures = () => gateway.metric('gateway_circuit_breaker_failures_total');

    for (let i = 0; i < 3; i += 1) expect(await ask()).toBe(500);
    expect(await state()).toBe(OPEN);
    clock.advance(COOLDOWN_MS);
    behaviour = 'hangs';
    for (const trial of [1, 2, 3]) {
      using client = await RawClient.to(gateway[port]);
      client.send(request(`POST ${path}`, ...Object.entries(headers).map((field) => field.join(': '))));
      await eventually('the trial has arrived', () => upstream.requests.length === 3 + trial);
      expect(await ask()).toBe(503);
      client.reset();
      await eventually('its place is free', async () => {
        return (await gateway.metric('gateway_lb_instance_in_flight')) === 0;
      });
      expect(await state()).toBe(HALF_OPEN);
      expect(await failures()).toBe(3);
    }
    behaviour = 'works';
    expect(await ask()).toBe(200);
    expect(await state()).toBe(0);
    expect(upstream.requests).toHaveLength(7);
  });
});
