import { describe, expect, it } from '@jest/globals';
import { Gauge } from 'prom-client';
import { RawClient, request, sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, STORES, startGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { underWay } from '../../support/gateway/nothingHeld.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { startRedis } from '../../support/stores/redis.ts';
import { hangs, startRawUpstream, startUpstream } from '../../support/upstreams/upstream.ts';

const PORTS = ['external', 'internal'] as const;

describe.each(STORES)('with the %s store', (store) => {
  it.each(PORTS)('the %s port says that it lives and is ready, and counts nobody who asks', async (port) => {
    await using gateway = await startGateway({ services: { '/budgeting': [] }, store });
    for (const [path, body] of [
      ['/healthz', { status: 'alive' }],
      ['/readyz', { status: 'ready', missing: [] }],
    ] as const) {
      const answer = await fetch(gateway[port] + path);
      expect(answer.status).toBe(200);
      expect(answer.headers.get('Cache-Control')).toBe('no-store');
      expect(await answer.json()).toEqual(body);
      expect((await fetch(gateway[port] + path, { method: 'HEAD' })).status).toBe(200);
      expect((await fetch(`${gateway[port]}${path}?from=prober`)).status).toBe(200);
    }
    expect(await gateway.metric('gateway_requests_total')).toBe(0);
    expect(gateway.logLines().filter(({ requestId }) => requestId)).toEqual([]);
  });
});

it.each(PORTS)('the %s port shows the metrics', async (port) => {
  await using upstream = await startUpstream();
  await using gateway = await startGateway({
    services: { '/budgeting': [upstream] },
    env: port === 'external' ? { EXTERNAL_METRICS: 'true' } : {},
  });
  await fetch(`${gateway.external}/budgeting/x`, { headers: bearer(tokenFor('ann')) });
  const answer = await fetch(`${gateway[port]}/metrics`);
  expect(answer.headers.get('Content-Type')).toContain('text/plain');
  const text = await answer.text();
  expect(text).toContain(
    'gateway_requests_total{service="/budgeting",method="GET",status="200",port="external",origin="upstream"} 1',
  );
  expect(text).toContain(
    `gateway_lb_instance_load{service="/budgeting",instance="${upstream.url.hostname}"} 1`,
  );
  for (const name of [
    'gateway_request_duration_seconds_bucket',
    'gateway_request_timeouts_total',
    'gateway_lb_instance_health',
    'gateway_lb_requests_total',
    'gateway_circuit_breaker_state',
    'gateway_circuit_breaker_failures_total',
    'gateway_circuit_breaker_rejected_total',
    'gateway_cache_hits_total',
    'gateway_cache_misses_total',
    'gateway_cache_errors_total',
    'gateway_jwt_generated_total',
    'gateway_jwt_validation_success_total',
    'gateway_jwt_validation_errors_total',
    'gateway_concurrent_requests',
    'gateway_concurrency_limit_reached_total',
    'process_cpu_user_seconds_total',
  ]) {
    expect(text).toContain(name);
  }
});

it('the external port has no /metrics unless EXTERNAL_METRICS says so', async () => {
  await using gateway = await startGateway({ services: { '/budgeting': [] } });
  for (const method of ['GET', 'HEAD']) {
    const { status } = await fetch(`${gateway.external}/metrics`, { method });
    expect(status).toBe(404);
  }
  await expectProblem(await fetch(`${gateway.external}/metrics`), 'no_such_service');
  expect((await fetch(`${gateway.internal}/metrics`)).status).toBe(200);
});

it.each([{}, { Accept: 'application/openmetrics-text' }])(
  '/metrics is rendered once a second at the most, however many ask (%j)',
  async (headers) => {
    const clock = new ManualClock();
    await using collector = await startUpstream((_req, res) => void res.end('{}'));
    await using gateway = await startGateway({
      services: { '/budgeting': [] },
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url.origin, EXTERNAL_METRICS: 'true' },
      clock,
    });
    const { metrics } = gateway.gateway.parts;
    let renderings = 0;
    new Gauge({
      name: 'renderings',
      help: 'Counts them.',
      registers: [metrics.registry],
      collect() {
        renderings += 1;
        this.set(renderings);
      },
    });
    const scrape = async (port: (typeof PORTS)[number]) =>
      Number(
        /^renderings (\d+)$/m.exec(await (await fetch(`${gateway[port]}/metrics`, { headers })).text())?.[1],
      );
    const all = await Promise.all(Array.from({ length: 50 }, () => scrape('internal')));
    expect(new Set(all)).toEqual(new Set([1]));
    clock.advance(999);
    expect([await scrape('internal'), await scrape('internal')]).toEqual([1, 1]);
    clock.advance(1);
    expect(await scrape('internal')).toBe(2);
    expect(renderings).toBe(2);
  },
);

it('/metrics folds methods and targets that nobody has heard of', async () => {
  await using gateway = await startGateway({ services: { '/budgeting': [] } });
  for (let n = 0; n < 5; n += 1) await sendRaw(gateway.internal, request(`PURGE /nobody${n}/x`));
  const labels = { service: 'none', method: 'OTHER', status: '404' };
  expect(await gateway.metric('gateway_requests_total', labels)).toBe(5);
});

describe.each(PORTS)('/readyz on the %s port', (port) => {
  it('says that the store is away, and when it is back', async () => {
    const redis = await startRedis();
    try {
      await using gateway = await startGateway({
        services: { '/budgeting': [] },
        env: { REDIS_URL: redis.url, STORE_TIMEOUT: '500ms' },
      });
      const state = async () => {
        const answer = await fetch(`${gateway[port]}/readyz`);
        return { http: answer.status, ...((await answer.json()) as { status: string }) };
      };
      expect(await state()).toEqual({ http: 200, status: 'ready', missing: [] });
      await redis.kill();
      const store = expect.stringMatching(
        /^Redis: (it closed the connection|nothing listens there) \(/,
      ) as unknown;
      // Only users need it.
      const away = {
        external: { http: 503, status: 'not ready', missing: ['store'], reasons: { store } },
        internal: { http: 200, status: 'ready', missing: [], degraded: { store } },
      };
      await eventually(
        'it notices',
        async () => 'reasons' in (await state()) || 'degraded' in (await state()),
      );
      expect(await state()).toEqual(away[port]);
      expect((await fetch(`${gateway[port]}/healthz`)).status).toBe(200);
      await redis.restart();
      await eventually('it is back', async () => Object.keys(await state()).length === 3);
      expect(await state()).toEqual({ http: 200, status: 'ready', missing: [] });
    } finally {
      await redis.stop();
    }
  });

  it('says 503 while draining', async () => {
    const clock = new ManualClock();
    await using upstream = await startRawUpstream(hangs);
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] }, clock });
    const pending = fetch(`${gateway.internal}/internal/budgeting/x`).catch(() => undefined);
    await underWay(gateway, 1);
    // New connections are refused: only who was about to ask can.
    using prober = await RawClient.to(gateway[port]);
    prober.send('GET /readyz HTTP/1.1\r\n');
    // Whoever connects later is served later: the bytes before have been read by then.
    await fetch(`${gateway[port]}/healthz`);
    const stopped = gateway.gateway.stop();
    prober.send('Host: h\r\n\r\n');
    const { status, body, field } = await prober.answer();
    expect(status).toBe(503);
    expect(JSON.parse(body)).toEqual({ status: 'not ready', missing: ['draining'] });
    expect(field('Connection')).toBe('close');
    clock.advance(2_000);
    await stopped;
    await pending;
  });
});
