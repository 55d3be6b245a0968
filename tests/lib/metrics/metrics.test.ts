import { describe, expect, it } from '@jest/globals';
import { Registry } from 'prom-client';
import type { ReplicaReading } from '../../../lib/metrics/definitions/replicas.ts';
import type { RequestReading } from '../../../lib/metrics/definitions/requests.ts';
import { Metrics, type MetricsOptions } from '../../../lib/metrics/metrics.ts';
import { CappedCounter } from '../../../lib/metrics/series/counter.ts';
import { NO_READINGS } from '../../support/monitoring/readings.ts';

type Sample = readonly [name: string, labels: Readonly<Record<string, string>>, value: number];

/** Reads the text format strictly: a line that it cannot read fails the test. */
function parse(text: string): Sample[] {
  const samples: Sample[] = [];
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('# ')) continue;
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!match) throw new Error(`not a sample: ${line}`);
    samples.push([match[1] ?? '', parseLabels(match[2] ?? ''), Number(match[3])]);
  }
  return samples;
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  let read = 0;
  for (const [whole, name = '', value = ''] of text.matchAll(/(\w+)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/g)) {
    labels[name] = value.replace(/\\(.)/g, (_, escaped) => (escaped === 'n' ? '\n' : escaped));
    read += whole.length;
  }
  if (read !== text.length) throw new Error(`not labels: ${text}`);
  return labels;
}

/** Samples of one metric as `value by labels`. */
async function samplesOf(registry: Registry, name: string): Promise<[Record<string, string>, number][]> {
  const samples = parse(await registry.metrics());
  return samples.filter(([given]) => given === name).map(([, labels, value]) => [labels, value]);
}

function counter<Label extends string>(labels: readonly Label[], maxSeries = 1_000) {
  const registry = new Registry();
  return { registry, counter: new CappedCounter({ name: 'c', help: 'h', labels, maxSeries, registry }) };
}

describe('CappedCounter', () => {
  it('counts by label values', async () => {
    const { registry, counter: c } = counter(['service', 'method']);
    c.count('/a', 'GET');
    c.count('/a', 'GET');
    c.count('/b', 'GET');
    expect(await samplesOf(registry, 'c')).toEqual([
      [{ service: '/a', method: 'GET' }, 2],
      [{ service: '/b', method: 'GET' }, 1],
    ]);
  });

  it('shows the same sums however often it is scraped', async () => {
    const { registry, counter: c } = counter(['service']);
    c.count('/a');
    await registry.metrics();
    await registry.metrics();
    expect(await samplesOf(registry, 'c')).toEqual([[{ service: '/a' }, 1]]);
  });

  it('without labels is 0 before anything was counted', async () => {
    const { registry, counter: c } = counter([]);
    expect(await samplesOf(registry, 'c')).toEqual([[{}, 0]]);
    c.count();
    c.count();
    expect(await samplesOf(registry, 'c')).toEqual([[{}, 2]]);
  });

  it('has at most maxSeries series and loses no count', async () => {
    const { registry, counter: c } = counter(['service', 'status'], 5);
    for (let i = 0; i < 1_000; i += 1) c.count(`/${i}`, '200');
    const samples = await samplesOf(registry, 'c');
    expect(samples).toHaveLength(5);
    expect(samples.at(-1)).toEqual([{ service: 'other', status: 'other' }, 996]);
    expect(samples.reduce((sum, [, value]) => sum + value, 0)).toBe(1_000);
  });

  it('goes on counting the series it knows when it is full', async () => {
    const { registry, counter: c } = counter(['service'], 2);
    for (const service of ['/a', '/b', '/a', '/c', '/a']) c.count(service);
    expect(await samplesOf(registry, 'c')).toEqual([
      [{ service: '/a' }, 3],
      [{ service: 'other' }, 2],
    ]);
  });

  it('with room for one series counts everything as other', async () => {
    const { registry, counter: c } = counter(['service'], 1);
    c.count('/a');
    c.count('other');
    expect(await samplesOf(registry, 'c')).toEqual([[{ service: 'other' }, 2]]);
  });

  it.each([
    { name: 'quotes', value: 'a"b' },
    { name: 'a newline', value: 'a\nb' },
    { name: 'a backslash', value: 'a\\nb' },
    { name: 'what looks like another label', value: 'a",status="500' },
    { name: 'braces', value: '{a} 1' },
    { name: 'nothing', value: '' },
    { name: 'unicode', value: 'b\u00fcdget \u{1F4B0}' },
  ])('keeps a label value with $name', async ({ value }) => {
    const { registry, counter: c } = counter(['service']);
    c.count(value);
    expect(await samplesOf(registry, 'c')).toEqual([[{ service: value }, 1]]);
  });

  it('tells values apart that are the same when written in a row', async () => {
    const { registry, counter: c } = counter(['a', 'b']);
    const rows = [
      ['x\ny', 'z'],
      ['x', 'y\nz'],
      ['x,y', 'z'],
      ['x', 'y,z'],
    ] as const;
    for (const [a, b] of rows) c.count(a, b);
    expect(await samplesOf(registry, 'c')).toEqual(rows.map(([a, b]) => [{ a, b }, 1]));
  });
});

const READING: ReplicaReading = {
  service: '/budgeting',
  instance: 'padstack_budgeting-service.1.k7oqr',
  requestCount: 12,
  inFlight: 3,
  healthy: true,
  breakerState: 1,
};

function newMetrics(options: Partial<MetricsOptions> & { replicas?: () => ReplicaReading[] } = {}): Metrics {
  const { replicas = () => [], ...rest } = options;
  const readings = {
    ...NO_READINGS,
    replicas,
    concurrency: () => [{ service: '/budgeting', held: 7, limit: 10, streams: 3, streamLimit: 100 }],
  };
  return new Metrics({ readings, processMetrics: false, ...rest });
}

/** A request of the service, with whatever matters to the test. */
function completed(part: Partial<RequestReading> = {}): RequestReading {
  return {
    service: '/budgeting',
    method: 'GET',
    status: 200,
    port: 'external',
    origin: 'upstream',
    seconds: 0.02,
    ...part,
  };
}

describe('Metrics', () => {
  it('has the metrics that the dashboards use', async () => {
    const text = await newMetrics().registry.metrics();
    const names = [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name, type]) => `${type} ${name}`);
    expect(names).toEqual([
      'counter gateway_metrics_folded_total',
      'counter gateway_requests_total',
      'counter gateway_request_timeouts_total',
      'counter gateway_errors_total',
      'counter gateway_lb_requests_total',
      'counter gateway_failovers_total',
      'counter gateway_hedges_total',
      'counter gateway_hedges_won_total',
      'counter gateway_mirrored_requests_total',
      'counter gateway_replica_health_probes_total',
      'counter gateway_replica_health_failures_total',
      'counter gateway_registry_errors_total',
      'counter gateway_registry_calls_dropped_total',
      'counter gateway_circuit_breaker_failures_total',
      'counter gateway_circuit_breaker_trips_total',
      'counter gateway_circuit_breaker_rejected_total',
      'counter gateway_circuit_breaker_held_total',
      'counter gateway_cache_hits_total',
      'counter gateway_cache_misses_total',
      'counter gateway_cache_errors_total',
      'counter gateway_cache_declined_total',
      'counter gateway_compression_bytes_in_total',
      'counter gateway_compression_bytes_out_total',
      'counter gateway_compression_uncoded_total',
      'counter gateway_compression_failures_total',
      'counter gateway_jwt_generated_total',
      'counter gateway_jwt_validation_success_total',
      'counter gateway_jwt_validation_errors_total',
      'counter gateway_api_key_success_total',
      'counter gateway_api_key_errors_total',
      'counter gateway_api_key_unreadable_total',
      'counter gateway_concurrency_limit_reached_total',
      'counter gateway_rate_limited_total',
      'counter gateway_rate_limit_errors_total',
      'counter gateway_admin_refused_total',
      'counter gateway_internal_peers_refused_total',
      'counter gateway_tls_handshake_failures_total',
      'counter gateway_span_export_errors_total',
      'counter gateway_exhausted_total',
      'counter gateway_uncaught_errors_total',
      'histogram gateway_request_duration_seconds',
      'gauge gateway_lb_instance_load',
      'gauge gateway_lb_instance_in_flight',
      'gauge gateway_lb_instance_health',
      'gauge gateway_replica_health',
      'gauge gateway_circuit_breaker_state',
      'gauge gateway_concurrent_requests',
      'gauge gateway_concurrency_limit',
      'gauge gateway_global_concurrency_limit',
      'gauge gateway_streams',
      'gauge gateway_stream_limit',
      'gauge gateway_global_stream_limit',
      'gauge gateway_store_up',
      'gauge gateway_store_may_evict',
      'gauge gateway_registry_unknown_names',
      'gauge gateway_build_info',
    ]);
  });

  it.each(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])(
    'counts %s by its name',
    async (method) => {
      const metrics = newMetrics();
      metrics.requestCompleted(completed({ method }));
      expect(await samplesOf(metrics.registry, 'gateway_requests_total')).toEqual([
        [{ service: '/budgeting', method, status: '200', port: 'external', origin: 'upstream' }, 1],
      ]);
    },
  );

  it.each(['TRACE', 'PROPFIND', 'get', 'constructor', ''])('counts %p as OTHER', async (method) => {
    const metrics = newMetrics();
    metrics.requestCompleted(completed({ method }));
    const [[labels] = []] = await samplesOf(metrics.registry, 'gateway_requests_total');
    expect(labels?.method).toBe('OTHER');
  });

  it('sorts durations into buckets', async () => {
    const metrics = newMetrics();
    for (const seconds of [0.0009, 0.02, 31]) {
      metrics.requestCompleted(completed({ seconds }));
    }
    const buckets = await samplesOf(metrics.registry, 'gateway_request_duration_seconds_bucket');
    const at = (le: string) => buckets.find(([labels]) => labels.le === le)?.[1];
    expect([at('0.001'), at('0.025'), at('30'), at('+Inf')]).toEqual([1, 2, 2, 3]);
  });

  it.each([0.001, 0.0025, 0.25, 1, 30])(
    'counts %d s in the bucket that ends there, as `le` says',
    async (seconds) => {
      const metrics = newMetrics();
      metrics.requestCompleted(completed({ seconds }));
      const buckets = await samplesOf(metrics.registry, 'gateway_request_duration_seconds_bucket');
      const counted = buckets.filter(([, count]) => count === 1).map(([labels]) => labels.le);
      expect(Number(counted[0])).toBe(seconds);
    },
  );

  it('reads replicas when it is scraped, and forgets those that left', async () => {
    let replicas = [READING, { ...READING, instance: 'second', healthy: false, breakerState: 2 }];
    const metrics = newMetrics({ replicas: () => replicas });
    const values = async (name: string) =>
      (await samplesOf(metrics.registry, name)).map(([{ instance }, value]) => [instance, value]);
    expect(await values('gateway_lb_instance_load')).toEqual([
      [READING.instance, 12],
      ['second', 12],
    ]);
    expect(await values('gateway_lb_instance_health')).toEqual([
      [READING.instance, 1],
      ['second', 0],
    ]);
    replicas = [{ ...READING, inFlight: 0 }];
    expect(await values('gateway_lb_instance_in_flight')).toEqual([[READING.instance, 0]]);
    expect(await values('gateway_circuit_breaker_state')).toEqual([[READING.instance, 1]]);
  });

  it('reads how many requests are under way, and may be', async () => {
    const { registry } = newMetrics();
    expect(await samplesOf(registry, 'gateway_concurrent_requests')).toEqual([
      [{ service: '/budgeting' }, 7],
    ]);
    expect(await samplesOf(registry, 'gateway_concurrency_limit')).toEqual([[{ service: '/budgeting' }, 10]]);
    expect(await samplesOf(registry, 'gateway_global_concurrency_limit')).toEqual([[{}, 100]]);
    expect(await samplesOf(registry, 'gateway_streams')).toEqual([[{ service: '/budgeting' }, 3]]);
    expect(await samplesOf(registry, 'gateway_stream_limit')).toEqual([[{ service: '/budgeting' }, 100]]);
    expect(await samplesOf(registry, 'gateway_global_stream_limit')).toEqual([[{}, 1000]]);
  });

  it('tells what runs, and whether the store is there', async () => {
    const { registry } = newMetrics({ version: '1.2.3' });
    expect(await samplesOf(registry, 'gateway_build_info')).toEqual([[{ version: '1.2.3' }, 1]]);
    expect(await samplesOf(registry, 'gateway_store_up')).toEqual([[{}, 1]]);
  });

  describe('by route', () => {
    const answers = (metrics: Metrics) => samplesOf(metrics.registry, 'gateway_route_requests_total');

    it('counts status codes and durations of those that there are', async () => {
      const metrics = newMetrics({ known: { route: ['/a/**', 'GET /a/:id'] } });
      metrics.requestCompleted(completed({ route: 'GET /a/:id', seconds: 0.02 }));
      metrics.requestCompleted(completed({ route: 'GET /a/:id', status: 404, seconds: 0.02 }));
      metrics.requestCompleted(completed({ route: '' }));
      metrics.requestCompleted(completed());
      expect((await answers(metrics)).filter(([, value]) => value > 0)).toEqual([
        [{ route: 'GET /a/:id', status: '200' }, 1],
        [{ route: 'GET /a/:id', status: '404' }, 1],
      ]);
      const counts = await samplesOf(metrics.registry, 'gateway_route_request_duration_seconds_count');
      expect(counts).toEqual([
        [{ route: 'GET /a/:id' }, 2],
        [{ route: '/a/**' }, 0],
      ]);
    });

    it('has nothing where there are no routes, whatever a request says', async () => {
      const metrics = newMetrics({ known: { service: ['/a'], route: [] } });
      metrics.requestCompleted(completed({ route: '/a/**' }));
      expect(await metrics.registry.metrics()).not.toContain('gateway_route');
    });

    it('counts all beyond the 500th as other, with its status and whatever comes first', async () => {
      const route = Array.from({ length: 10_000 }, (_, n) => `/a/${n}`);
      const metrics = newMetrics({ known: { route } });
      for (const each of route.toReversed()) metrics.requestCompleted(completed({ route: each }));
      metrics.requestCompleted(completed({ route: '/a/500', status: 503 }));
      const counted = (await answers(metrics)).filter(([, value]) => value > 0);
      expect(counted).toHaveLength(502);
      expect(counted.filter(([labels]) => labels.route === 'other')).toEqual([
        [{ route: 'other', status: '200' }, 9_500],
        [{ route: 'other', status: '503' }, 1],
      ]);
      expect(counted).toContainEqual([{ route: '/a/499', status: '200' }, 1]);
      const folded = await samplesOf(metrics.registry, 'gateway_metrics_folded_total');
      expect(folded.filter(([, value]) => value > 0)).toEqual([]);
      const rows = parse(await metrics.registry.metrics()).filter(([name]) =>
        name.startsWith('gateway_route_'),
      );
      expect(rows.length).toBeLessThan(12_000);
    });
  });

  describe('before anything happened', () => {
    const known = { service: ['/a', '/b'], port: ['external', 'internal'], reason: ['token_missing'] };

    it.each([
      { name: 'gateway_request_timeouts_total', series: 4 },
      { name: 'gateway_cache_hits_total', series: 2 },
      { name: 'gateway_jwt_validation_errors_total', series: 1 },
      { name: 'gateway_request_duration_seconds_count', series: 4 },
      // Five answers that somebody waits for, of two services on two ports.
      { name: 'gateway_requests_total', series: 20 },
      // Nobody has said which codes there are.
      { name: 'gateway_errors_total', series: 0 },
    ])('$name is 0 for what is known', async ({ name, series }) => {
      const samples = await samplesOf(newMetrics({ known }).registry, name);
      expect(samples.map(([, value]) => value)).toEqual(new Array(series).fill(0));
    });

    it('counters of replicas are 0 for those that are there', async () => {
      let replicas = [READING];
      const metrics = newMetrics({ known, replicas: () => replicas });
      const failures = () => samplesOf(metrics.registry, 'gateway_circuit_breaker_failures_total');
      const labels = { service: '/budgeting', instance: READING.instance };
      expect(await failures()).toEqual([[labels, 0]]);
      metrics.breakerFailures.count('/budgeting', READING.instance);
      replicas = [READING, { ...READING, instance: 'new' }];
      expect(await failures()).toEqual([
        [labels, 1],
        [{ ...labels, instance: 'new' }, 0],
      ]);
    });

    it('a replica that left takes its series along', async () => {
      let replicas = [READING, { ...READING, instance: 'departed' }];
      const metrics = newMetrics({ known, replicas: () => replicas });
      metrics.lbRequests.count('/budgeting', 'departed');
      metrics.breakerTrips.count('/budgeting', 'departed');
      metrics.cacheHits.count('/budgeting');
      replicas = [READING];
      metrics.forgetReplica('/budgeting', 'departed');
      const text = await metrics.registry.metrics();
      expect(text).not.toContain('departed');
      expect(text).toContain(
        `gateway_lb_requests_total{service="/budgeting",instance="${READING.instance}"} 0`,
      );
      expect(text).toContain('gateway_cache_hits_total{service="/budgeting"} 1');
    });

    it('at most half of the room is taken', async () => {
      const service = Array.from({ length: 1_000 }, (_, index) => `/${index}`);
      const metrics = newMetrics({ known: { service }, maxSeries: 10 });
      expect(await samplesOf(metrics.registry, 'gateway_cache_hits_total')).toHaveLength(5);
      metrics.cacheHits.count('/999');
      expect(await samplesOf(metrics.registry, 'gateway_cache_hits_total')).toContainEqual([
        { service: '/999' },
        1,
      ]);
    });
  });

  describe('with 100,000 of everything', () => {
    const MANY = 100_000;
    const replicas = Array.from({ length: MANY }, (_, index) => ({
      ...READING,
      instance: `replica-${index}`,
      requestCount: 1,
      healthy: index < MANY - 1,
    }));
    const metrics = newMetrics({ replicas: () => replicas });
    for (let index = 0; index < MANY; index += 1) {
      const part = { service: `/${index}`, method: `M${index}`, status: 100 + (index % 900) };
      metrics.requestCompleted(completed(part));
      metrics.lbRequests.count('/budgeting', `replica-${index}`);
    }
    const scraped = metrics.registry.metrics().then(parse);
    const samplesNamed = async (name: string): Promise<[Record<string, string>, number][]> =>
      (await scraped).filter(([given]) => given === name).map(([, labels, value]) => [labels, value]);
    const sumOf = (samples: readonly (readonly [unknown, number])[]) =>
      samples.reduce((sum, [, value]) => sum + value, 0);

    it.each([
      'gateway_requests_total',
      'gateway_request_duration_seconds_count',
      'gateway_lb_requests_total',
    ])('%s has 1,000 series and has lost none', async (name) => {
      const samples = await samplesNamed(name);
      expect(samples).toHaveLength(1_000);
      expect(sumOf(samples)).toBe(MANY);
      const folded = await samplesNamed('gateway_metrics_folded_total');
      expect(folded).toContainEqual([{ metric: name.replace(/_count$/, '') }, MANY - 999]);
    });

    it('gauges of replicas have 1,000 series, and the last tells the worst of the rest', async () => {
      const other = { service: 'other', instance: 'other' };
      const load = await samplesNamed('gateway_lb_instance_load');
      expect(load).toHaveLength(1_000);
      expect(load.at(-1)).toEqual([other, MANY - 999]);
      const health = await samplesNamed('gateway_lb_instance_health');
      expect(health.at(-1)).toEqual([other, 0]);
    });
  });

  it("carries Node's own metrics unless told not to", async () => {
    const text = await newMetrics({ processMetrics: true }).registry.metrics();
    expect(parse(text).map(([name]) => name)).toContain('nodejs_heap_size_total_bytes');
  });

  it('shares nothing with another gateway in the process', async () => {
    const first = newMetrics();
    first.cacheHits.count('/budgeting');
    expect(await samplesOf(newMetrics().registry, 'gateway_cache_hits_total')).toEqual([]);
  });
});

it('every kind of garbage collection is shown before the first has happened', async () => {
  const { registry } = newMetrics({ processMetrics: true });
  const text = await registry.metrics();
  for (const kind of ['minor', 'incremental', 'major', 'weakcb']) {
    expect(text).toMatch(new RegExp(`^nodejs_gc_duration_seconds_count\\{kind="${kind}"\\} \\d+$`, 'm'));
  }
});
