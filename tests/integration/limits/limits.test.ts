import type { ServerResponse } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { RawClient, request } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { type GatedUpstream, startGated } from '../../support/upstreams/gated.ts';
import { resets, startRawUpstream, startUpstream } from '../../support/upstreams/upstream.ts';

const headers = { ...bearer(tokenFor('ann')), 'Cache-Control': 'no-store' };
const ask = (gateway: TestGateway, path = '/budgeting/x') => fetch(`${gateway.external}${path}`, { headers });

const arrived = (upstream: GatedUpstream, count: number) =>
  eventually(`${count} requests at the service`, () => upstream.waiting.length === count);

const held = (gateway: TestGateway, count: number, service = '/budgeting') =>
  eventually(
    `${count} permits held`,
    async () => (await gateway.metric('gateway_concurrent_requests', { service })) === count,
  );

describe('PER_SERVICE_LIMIT', () => {
  const env = { PER_SERVICE_LIMIT: '3' };

  it('admits so many at a time, refuses the others at once, and admits again', async () => {
    await using upstream = await startGated();
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] }, env });
    const refused: Response[] = [];
    for (let n = 0; n < 8; n += 1) ask(gateway).then((answer) => refused.push(answer));
    await arrived(upstream, 3);
    await held(gateway, 3);
    await eventually('the refusals', () => refused.length === 5);
    for (const answer of refused) await expectProblem(answer, 'service_busy');
    expect(await gateway.metric('gateway_concurrency_limit_reached_total', { service: '/budgeting' })).toBe(
      5,
    );
    upstream.answerOne();
    await held(gateway, 2);
    const next = ask(gateway);
    await arrived(upstream, 3);
    for (let n = 0; n < 3; n += 1) upstream.answerOne();
    expect((await next).status).toBe(200);
    await held(gateway, 0);
  });

  it('leaves other services their share', async () => {
    await using busy = await startGated();
    await using free = await startUpstream();
    await using gateway = await startGateway({
      services: { '/budgeting': [busy], '/booking': [free] },
      env: { PER_SERVICE_LIMIT: '1' },
    });
    const first = ask(gateway);
    await arrived(busy, 1);
    await expectProblem(await ask(gateway), 'service_busy');
    expect((await ask(gateway, '/booking/x')).status).toBe(200);
    busy.answerOne();
    await first;
  });

  it('is overridden by the concurrency of a service', async () => {
    await using upstream = await startGated();
    await using gateway = await startGateway({
      services: { '/budgeting': { upstreams: [upstream], concurrency: 1 } },
      env,
    });
    const first = ask(gateway);
    await arrived(upstream, 1);
    await expectProblem(await ask(gateway), 'service_busy');
    upstream.answerOne();
    await first;
  });

  it('does not apply to the internal port', async () => {
    await using upstream = await startGated();
    await using gateway = await startGateway({
      services: { '/budgeting': [upstream] },
      env: { PER_SERVICE_LIMIT: '1', GLOBAL_CONCURRENCY: '1' },
    });
    const answers = Array.from({ length: 5 }, () => fetch(`${gateway.internal}/internal/budgeting/x`));
    await arrived(upstream, 5);
    for (let n = 0; n < 5; n += 1) upstream.answerOne();
    for (const answer of await Promise.all(answers)) expect(answer.status).toBe(200);
  });
});

describe('GLOBAL_CONCURRENCY', () => {
  it('counts all services together, and its refusals hold no permit of a service', async () => {
    await using upstream = await startGated();
    await using gateway = await startGateway({
      services: { '/budgeting': [upstream], '/booking': [upstream] },
      env: { GLOBAL_CONCURRENCY: '2' },
    });
    const first = [ask(gateway), ask(gateway, '/booking/x')];
    await arrived(upstream, 2);
    for (let n = 0; n < 4; n += 1) await expectProblem(await ask(gateway), 'gateway_busy');
    expect(await gateway.metric('gateway_concurrent_requests')).toBe(2);
    upstream.answerOne();
    upstream.answerOne();
    await Promise.all(first);
    await held(gateway, 0);
  });
});

describe('a permit returns', () => {
  const env = { PER_SERVICE_LIMIT: '1' };

  async function expectFree(gateway: TestGateway): Promise<void> {
    await held(gateway, 0);
    expect(gateway.gateway.parts.limits.gateway.held).toBe(0);
    await eventually(
      'nothing in flight',
      async () => !(await gateway.metric('gateway_lb_instance_in_flight')),
    );
  }

  it('when the client leaves before its response, and the service is told', async () => {
    await using upstream = await startGated();
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] }, env });
    using client = await RawClient.to(gateway.external);
    client.send(request('GET /budgeting/x', `Authorization: ${headers.Authorization}`));
    await arrived(upstream, 1);
    client.reset();
    await expectFree(gateway);
    await arrived(upstream, 0);
    const next = ask(gateway);
    await arrived(upstream, 1);
    upstream.answerOne();
    expect((await next).status).toBe(200);
  });

  it('when the client leaves in mid-answer, and the service is told', async () => {
    let begun: ServerResponse | undefined;
    await using upstream = await startUpstream((_req, res) => {
      begun = res;
      res.write('begun');
    });
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] }, env });
    using client = await RawClient.to(gateway.external);
    client.send(request('GET /budgeting/x', `Authorization: ${headers.Authorization}`));
    await eventually('it has begun', () => client.received.includes('begun'));
    client.reset();
    await eventually('the service sees it', () => begun?.destroyed === true);
    await expectFree(gateway);
  });

  it('when the client leaves in mid-upload', async () => {
    await using upstream = await startUpstream(undefined, { readsBody: false });
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] }, env });
    using client = await RawClient.to(gateway.external);
    client.send(
      request('POST /budgeting/x', `Authorization: ${headers.Authorization}`, 'Content-Length: 100'),
    );
    await held(gateway, 1);
    client.reset();
    await expectFree(gateway);
  });

  it('when the client closes its half: it is taken for leaving', async () => {
    await using upstream = await startGated();
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] }, env });
    using client = await RawClient.to(gateway.external);
    client.send(request('GET /budgeting/x', `Authorization: ${headers.Authorization}`));
    await arrived(upstream, 1);
    client.socket.end();
    await expectFree(gateway);
    await arrived(upstream, 0);
  });

  it('when the request fails at the service, at the deadline and at the door', async () => {
    const clock = new ManualClock();
    await using failing = await startRawUpstream(resets);
    await using slow = await startGated();
    await using gateway = await startGateway({
      services: { '/budgeting': [failing], '/booking': [slow] },
      env,
      clock,
    });
    await expectProblem(await ask(gateway), 'upstream_unreachable');
    await expectFree(gateway);
    const late = ask(gateway, '/booking/x');
    await arrived(slow, 1);
    clock.advance(3_000);
    await expectProblem(await late, 'request_timeout');
    await expectFree(gateway);
    await expectProblem(await fetch(`${gateway.external}/budgeting/x`), 'token_missing');
    await expectFree(gateway);
  });

  it('when hundreds of clients come and go', async () => {
    await using upstream = await startUpstream();
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] } });
    const statuses = new Map<number, number>();
    const count = (status: number) => statuses.set(status, (statuses.get(status) ?? 0) + 1);
    const calls = Array.from({ length: 300 }, async (_, n) => {
      if (n % 3 > 0) return count((await ask(gateway, `/budgeting/${n}`)).status);
      const client = await RawClient.to(gateway.external);
      client.send(request(`GET /budgeting/${n}`, `Authorization: ${headers.Authorization}`));
      return client.reset();
    });
    await Promise.all(calls);
    expect([...statuses.keys()].filter((status) => status !== 200 && status !== 429)).toEqual([]);
    await expectFree(gateway);
    expect((await ask(gateway)).status).toBe(200);
  });
});

describe('CONCURRENCY_QUEUE', () => {
  const env = { PER_SERVICE_LIMIT: '1', CONCURRENCY_QUEUE: '2' };

  it('lets so many wait, in order, and refuses the others', async () => {
    await using upstream = await startGated();
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] }, env });
    const requests = gateway.gateway.parts.services[0]?.limits.requests;
    const order: number[] = [];
    const answers: Promise<unknown>[] = [];
    for (const n of [1, 2, 3]) {
      answers.push(ask(gateway).then(() => order.push(n)));
      await eventually('it is in', () => (requests?.held ?? 0) + (requests?.waiting ?? 0) === n);
    }
    await expectProblem(await ask(gateway), 'service_busy');
    for (let n = 0; n < 3; n += 1) {
      await arrived(upstream, 1);
      upstream.answerOne();
      await eventually('it is answered', () => order.length === n + 1);
    }
    await Promise.all(answers);
    expect(order).toEqual([1, 2, 3]);
    await held(gateway, 0);
  });

  it('gives the place of a client that leaves to another', async () => {
    await using upstream = await startGated();
    await using gateway = await startGateway({
      services: { '/budgeting': [upstream] },
      env: { PER_SERVICE_LIMIT: '1', CONCURRENCY_QUEUE: '1' },
    });
    const requests = gateway.gateway.parts.services[0]?.limits.requests;
    const first = ask(gateway);
    await arrived(upstream, 1);
    using client = await RawClient.to(gateway.external);
    client.send(request('GET /budgeting/x', `Authorization: ${headers.Authorization}`));
    await eventually('it waits', () => requests?.waiting === 1);
    client.reset();
    await eventually('it waits no more', () => requests?.waiting === 0);
    const second = ask(gateway);
    await eventually('another waits', () => requests?.waiting === 1);
    upstream.answerOne();
    await arrived(upstream, 1);
    upstream.answerOne();
    expect((await first).status).toBe(200);
    expect((await second).status).toBe(200);
    await held(gateway, 0);
  });
});
