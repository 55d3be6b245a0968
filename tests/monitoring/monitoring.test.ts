import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Metrics } from '../../lib/metrics/metrics.ts';
import { DASHBOARDS, dashboardDocument } from '../../monitoring/dashboards/generate.ts';
import {
  faultyTraffic,
  ordinaryTraffic,
  TRAFFIC_FLAGS,
  TRAFFIC_SETTINGS,
  Traffic,
} from '../support/clients/traffic.ts';
import { eventually } from '../support/eventually.ts';
import { startGateway, type TestGateway } from '../support/gateway/gateway.ts';
import {
  type Expression,
  expressionsOf,
  fill,
  hiddenPanelsOf,
  panelsOf,
  readDashboard,
  readRules,
} from '../support/monitoring/expressions.ts';
import {
  ensurePrometheus,
  type PrometheusServer,
  startPrometheus,
} from '../support/monitoring/prometheus.ts';
import { NO_READINGS } from '../support/monitoring/readings.ts';
import { INSTALLS_WITHIN_MS } from '../support/processes/command.ts';
import { startPlayground, type TestPlayground } from '../support/processes/playground.ts';
import { type RedisServer, startRedis } from '../support/stores/redis.ts';
import { startUpstream, type Upstream } from '../support/upstreams/upstream.ts';

const ROOT = join(import.meta.dirname, '../..');

// For a machine that has other things to do as well.
jest.setTimeout(30_000);

/** What `promtool check metrics` says of a scrape. */
function checkMetrics(text: string) {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
    input: text,
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

beforeAll(ensurePrometheus, INSTALLS_WITHIN_MS);

describe('promtool', () => {
  it.each([
    ['check', 'config', 'monitoring/prometheus.yml'],
    ['check', 'rules', 'monitoring/rules/gateway.yml'],
    ['test', 'rules', 'monitoring/rules/tests/gateway.yml'],
  ])('%s %s %s passes', (...args) => {
    const output = execFileSync('promtool', args, { cwd: ROOT, encoding: 'utf8' });
    expect(output).toContain('SUCCESS');
  });

  it.each(readRules())('tests have an alert $alert that fires', ({ alert }) => {
    const tests = readFileSync(join(ROOT, 'monitoring/rules/tests/gateway.yml'), 'utf8');
    expect(tests).toMatch(new RegExp(`alertname: ${alert}\\n.*\\n\\s+exp_alerts:\\n\\s+- exp_labels:`));
  });
});

it("finds nothing wrong with what prom-client adds of Node's own", async () => {
  const metrics = new Metrics({ readings: NO_READINGS });
  const text = await metrics.registry.metrics();
  expect(text).toContain('nodejs_active_handles{');
  expect(text).toContain('process_cpu_seconds_total');
  expect(checkMetrics(text)).toEqual({ status: 0, stdout: '', stderr: '' });
});

describe('docs/monitoring.md', () => {
  const page = readFileSync(join(ROOT, 'docs/monitoring.md'), 'utf8');

  it.each(readRules())('says what to do about $alert', ({ alert, annotations }) => {
    expect(annotations.runbook_url).toBe(`docs/monitoring.md#${alert.toLowerCase()}`);
    expect(page).toContain(`\n### ${alert}\n\n`);
  });

  it('lists every metric, with its labels', async () => {
    const rows = [...page.matchAll(/^\| (`gateway_[^|]*) \|([^|]*)\|/gm)];
    const listed = rows.flatMap(([, names = '', labels = '']) =>
      Array.from(names.matchAll(/`(\w+)`/g), ([, name]) => [name, labels.trim()]),
    );
    expect(Object.fromEntries(listed)).toEqual(Object.fromEntries(await shownMetrics()));
  });
});

describe('the dashboards', () => {
  it.each(Object.entries(DASHBOARDS))('%s is what their source makes: npm run docs', (path, dashboard) => {
    expect(readFileSync(path, 'utf8')).toBe(dashboardDocument(dashboard));
  });

  it('and the rules show every metric of the gateway', async () => {
    const queries = JSON.stringify([readDashboard('overview'), readDashboard('service'), readRules()]);
    const shown = new Set(queries.match(/gateway_\w+/g)?.map((name) => name.replace(/_bucket$/, '')));
    // The bytes beside it are shown: they are what bounds a cache.
    shown.add('gateway_cache_entries');
    expect((await shownMetrics()).filter(([name]) => !shown.has(name))).toEqual([]);
  });

  it('show everything that the gateway counts', async () => {
    const queries = JSON.stringify([readDashboard('overview'), readDashboard('service')]);
    const counters = (await shownMetrics()).map(([name]) => name).filter((name) => name.endsWith('_total'));
    expect(counters.filter((name) => !queries.includes(name))).toEqual([]);
  });

  it('have the nine panels of the original', () => {
    const titles = panelsOf(readDashboard('overview')).map(({ title }) => title);
    expect(titles).toEqual(
      expect.arrayContaining([
        'Request Rate',
        'Error Rate',
        'Request Latency',
        'Load Balancer Distribution',
        'Instance Health Status',
        'Cache Performance',
        'JWT Operations',
        'Concurrent Requests',
        'Circuit Breaker Status',
      ]),
    );
  });

  describe.each(['overview', 'service'] as const)('%s', (name) => {
    const dashboard = readDashboard(name);
    const panels = [...panelsOf(dashboard), ...hiddenPanelsOf(dashboard)];

    it('says of every panel what it shows and in which unit', () => {
      for (const { title, description, fieldConfig } of panels) {
        expect({ title, description }).toEqual({ title, description: expect.stringMatching(/\w{3}.*\.$/) });
        expect({ title, unit: fieldConfig?.defaults.unit }).toEqual({ title, unit: expect.any(String) });
      }
    });

    it('has no two panels with one id or in one place', () => {
      const all = dashboard.panels ?? [];
      const ids = [...all, ...hiddenPanelsOf(dashboard)].map(({ id }) => id);
      expect(new Set(ids).size).toBe(ids.length);
      const cells = all.flatMap(({ gridPos = { x: 0, y: 0, w: 0, h: 0 } }) => cellsOf(gridPos));
      expect(new Set(cells).size).toBe(cells.length);
    });

    it('links to dashboards that there are', () => {
      const uids = ['overview', 'service'].map((one) => readDashboard(one as 'overview' | 'service').uid);
      const links = [...JSON.stringify(dashboard).matchAll(/"url":"\/d\/([^?"]+)/g)].map(([, uid]) => uid);
      expect(uids).toEqual(expect.arrayContaining(links));
    });
  });
});

describe('a Prometheus in front of a gateway under mixed traffic', () => {
  let playground: TestPlayground;
  let prometheus: PrometheusServer;
  let traffic: Traffic;

  beforeAll(async () => {
    playground = await startPlayground(TRAFFIC_FLAGS, TRAFFIC_SETTINGS);
    const target = new URL(playground.urls.internal ?? '').host;
    prometheus = await startPrometheus({ targets: [target] });
    await eventually('a scrape', async () => (await prometheus.query('gateway_store_up')).length > 0);
    traffic = new Traffic(playground.urls);
    // Nobody waits for POSTs, so what their series begins with is lost to rate(): it begins before the others.
    await traffic.internal('/sharing/echo', { method: 'POST', body: {} });
    const posts = 'gateway_requests_total{service="/sharing",method="POST"}';
    await eventually('its series', async () => (await prometheus.query(posts)).length > 0);
    const token = await traffic.logIn();
    await ordinaryTraffic(traffic, token);
    await faultyTraffic(traffic, token);
    await eventually(
      'all of it is scraped',
      async () => (await numberOf('sum(gateway_requests_total)')) === sum(traffic.tally.values()),
      30_000,
    );
  }, 90_000);

  afterAll(async () => {
    await prometheus?.stop();
    await playground?.stop();
  });

  /** A scrape that this machine had no time for leaves a gap, so the answer may take another. */
  function numberOf(expr: string): Promise<number> {
    return eventually(expr, async () => (await prometheus.query(expr))[0]?.points[0]?.[1]);
  }

  async function hasData({ expr }: Expression): Promise<boolean> {
    const check = async () =>
      (await prometheus.query(expr)).some(({ points }) => Number.isFinite(points[0]?.[1]));
    return eventually(expr, check).catch(() => false);
  }

  /** Those that give no number. */
  async function withoutData(expressions: readonly Expression[]): Promise<Expression[]> {
    const found = await Promise.all(expressions.map(hasData));
    return expressions.filter((_, index) => !found[index]);
  }

  it('counts exactly what was sent', async () => {
    const expr = 'sum by (service, method, status, port) (gateway_requests_total) > 0';
    const series = await eventually('the counts', async () => {
      const found = await prometheus.query(expr);
      return found.length > 0 && found;
    });
    const counted = series.map(({ metric: { service, method, status, port }, points }) => [
      `${service} ${method} ${status} ${port}`,
      points[0]?.[1],
    ]);
    expect(Object.fromEntries(counted)).toEqual(Object.fromEntries(traffic.tally));
  });

  it.each([
    ['the cache', 'sum(gateway_cache_hits_total{service="/budgeting"})', 20],
    ['its misses', 'sum(gateway_cache_misses_total{service="/budgeting"})', 20],
    ['logins', 'gateway_jwt_generated_total', 1],
    ['refused tokens', 'sum(gateway_jwt_validation_errors_total)', 2],
    ['time-outs', 'gateway_request_timeouts_total{service="/notification",port="external"}', 2],
    ['the limit', 'gateway_concurrency_limit_reached_total{service="/notification"}', 5],
    ['failures', 'sum(gateway_circuit_breaker_failures_total{service="/sharing"})', 3],
    ['trips', 'sum(gateway_circuit_breaker_trips_total)', 1],
    ['an open breaker', 'max(gateway_circuit_breaker_state{service="/sharing"})', 1],
    ['refusals of an open breaker', 'gateway_circuit_breaker_rejected_total{service="/sharing"}', 2],
    ['answers of the service', 'sum(gateway_requests_total{service="/sharing",origin="upstream"})', 24],
    ['answers of the gateway', 'sum(gateway_requests_total{service="/sharing",origin="gateway"})', 2],
    // 20 misses and 20 calls over three replicas.
    ['requests of replicas', 'sum(gateway_lb_requests_total{service="/budgeting"})', 40],
    ['the most that one of them got', 'max(gateway_lb_instance_load{service="/budgeting"})', 14],
    ['durations', 'sum(gateway_request_duration_seconds_count{service="/notification"})', 37],
  ])('is right about %s', async (_, expr, expected) => {
    expect(await numberOf(expr)).toBe(expected);
  });

  it('sees every one of them as a rise', async () => {
    // A counter that began above 0 would have lost its first events here.
    const counters = ['gateway_circuit_breaker_trips_total', 'gateway_concurrency_limit_reached_total'];
    for (const counter of counters)
      expect(await numberOf(`sum(increase(${counter}[5m]))`)).toBeGreaterThan(0);
    // The dashboard's own way to 5 of 26: what it makes of it differs with the moments of the scrapes.
    const [errors] = panelsOf(readDashboard('overview')).filter(({ title }) => title === 'Errors');
    const expr = String(errors?.targets?.[0]?.expr);
    const share = await numberOf(fill(expr, { service: '/sharing', port: '.*', __rate_interval: '1m' }));
    expect(share).toBeGreaterThan(10);
    expect(share).toBeLessThan(30);
  });

  it.each([
    ['overview', { service: '.*', port: '.*' }],
    ['service', { service: '/sharing', port: '.*' }],
  ] as const)('has data for every expression of the dashboard %s', async (name, variables) => {
    const expressions = expressionsOf(readDashboard(name), { ...variables, __rate_interval: '1m' });
    expect(expressions.length).toBeGreaterThan(20);
    expect(await withoutData(expressions)).toEqual([]);
  });

  it('has values for every variable of the dashboards', async () => {
    expect(await prometheus.labelValues('gateway_requests_total', 'port')).toEqual(['external', 'internal']);
    const services = await prometheus.labelValues('gateway_requests_total', 'service');
    expect(services).toEqual(expect.arrayContaining(['/budgeting', '/sharing', '/userManagement']));
    const variables = (name: 'overview' | 'service') =>
      readDashboard(name).templating?.list?.map((variable) => variable.name);
    expect(variables('overview')).toEqual(['datasource', 'service', 'port', 'route']);
    expect(variables('service')).toEqual(['datasource', 'service', 'port']);
  });

  it("has data for each of the original's queries", async () => {
    const queries = [
      'rate(gateway_requests_total[5m])',
      'rate(gateway_requests_total{status=~"5.."}[5m]) / rate(gateway_requests_total[5m]) * 100',
      'histogram_quantile(0.95, rate(gateway_request_duration_seconds_bucket[5m]))',
      'rate(gateway_cache_hits_total[5m]) / (rate(gateway_cache_hits_total[5m]) + rate(gateway_cache_misses_total[5m])) * 100',
      'stddev(gateway_lb_instance_load) by (service)',
      'increase(gateway_circuit_breaker_failures_total[1h])',
      'gateway_lb_instance_load{service="/budgeting"}',
      'gateway_lb_instance_health{service="/budgeting"}',
      'rate(gateway_lb_requests_total[5m])',
    ];
    expect(await withoutData(queries.map((expr) => ({ where: 'the original', expr })))).toEqual([]);
  });

  it('has data for what every alert compares', async () => {
    // There is neither TLS nor a Redis of several nodes here, and a gateway is there.
    const without = [
      'GatewayCertificateExpires',
      'GatewayUpstreamCertificateExpires',
      'GatewayRedisNodeAway',
      'GatewayAbsent',
    ];
    const rules = readRules().filter(({ alert }) => !without.includes(alert));
    const compared = rules.map(({ alert, expr }) => ({
      where: alert,
      expr: expr.replaceAll(/\s(==|[<>]=?)\s[\d.]+/g, ''),
    }));
    expect(await withoutData(compared)).toEqual([]);
  });

  it('raises the alerts that this traffic deserves, and none for what is well', async () => {
    const deserved = [
      'ServiceBreakerTripped /sharing',
      'ServiceErrorRate /sharing',
      'ServiceLimitReached /notification',
      'ServiceWithoutReplica /sharing',
    ];
    const raised = await eventually('the alerts', async () => {
      const alerts = await prometheus.alerts();
      const names = alerts.map(({ labels: { alertname, service } }) => `${alertname} ${service}`);
      return deserved.every((name) => names.includes(name)) && names;
    });
    // How late things are says more about this machine than about the gateway.
    const others = raised.filter((name) => !/(Latency|Lag) |\/(sharing|notification)$/.test(name));
    expect(others).toEqual([]);
  });

  it('shows metrics that promtool finds nothing wrong with', async () => {
    const metrics = await (await fetch(`${playground.urls.internal}/metrics`)).text();
    expect(metrics).toContain('gateway_requests_total');
    expect(checkMetrics(metrics)).toEqual({ status: 0, stdout: '', stderr: '' });
  });

  it('sees that the registry does not answer', async () => {
    const panel = panelsOf(readDashboard('overview')).find(({ title }) => title === 'Registry');
    const expr = fill(String(panel?.targets?.[0]?.expr), { __rate_interval: '10s' });
    const lists = async () =>
      (await prometheus.query(expr)).find(({ metric }) => metric.call === 'list')?.points[0]?.[1] ?? 0;
    expect(await lists()).toBe(0);
    process.kill(playground.pids.registry ?? 0, 'SIGSTOP');
    try {
      await eventually('failed lists', async () => (await lists()) > 0, 20_000);
      await eventually('an alert', async () =>
        (await prometheus.alerts()).some(({ labels }) => labels.alertname === 'GatewayRegistryAway'),
      );
    } finally {
      process.kill(playground.pids.registry ?? 0, 'SIGCONT');
    }
  });

  it('notices when the gateway is gone', async () => {
    await playground.stop();
    await eventually('an alert', async () =>
      (await prometheus.alerts()).some(({ labels }) => labels.alertname === 'GatewayDown'),
    );
  });
});

describe('a Prometheus in front of a gateway with two nodes of Redis', () => {
  let nodes: RedisServer[];
  let gateway: TestGateway;
  let prometheus: PrometheusServer;

  beforeAll(async () => {
    nodes = await Promise.all(['a', 'b'].map(() => startRedis()));
    const addresses = nodes.map(({ port }, n) => `${'ab'[n]}:127.0.0.1:${port}`);
    gateway = await startGateway({
      services: { '/budgeting': [] },
      env: { USE_REDIS_SHARDING: 'true', REDIS_NODES: addresses.join(), STORE_TIMEOUT: '1s' },
    });
    prometheus = await startPrometheus({ targets: [new URL(gateway.internal).host] });
  }, 90_000);

  afterAll(async () => {
    await prometheus?.stop();
    await gateway?.[Symbol.asyncDispose]();
    await Promise.all(nodes.map((node) => node.stop()));
  });

  it('shows the store and each node by its name', async () => {
    const panel = panelsOf(readDashboard('overview')).find(({ title }) => title === 'Store and Redis Nodes');
    const expr = String(panel?.targets?.[0]?.expr);
    const shown = async () =>
      (await prometheus.query(expr)).map(({ metric, points }) => `${metric.node} ${points[0]?.[1]}`).sort();
    await eventually('all are up', async () => `${await shown()}` === 'a 1,b 1,store 1');
    await nodes[1]?.kill();
    await eventually('one is away', async () => `${await shown()}` === 'a 1,b 0,store 0', 20_000);
  });
});

describe('a Prometheus in front of a gateway with routes', () => {
  let upstream: Upstream;
  let gateway: TestGateway;
  let prometheus: PrometheusServer;
  const route = '/budgeting/catalog/**';

  beforeAll(async () => {
    upstream = await startUpstream();
    const limits = { concurrency: 5, streams: 5 };
    const routes = [{ match: { path: '/catalog/**' }, auth: 'none' as const, limits }];
    gateway = await startGateway({ services: { '/budgeting': { upstreams: [upstream], routes } } });
    prometheus = await startPrometheus({ targets: [new URL(gateway.internal).host] });
    await eventually('a scrape', async () => (await prometheus.query('gateway_store_up')).length > 0);
    for (let n = 0; n < 5; n += 1) await fetch(`${gateway.external}/budgeting/catalog/${n}`);
  }, 90_000);

  afterAll(async () => {
    await prometheus?.stop();
    await gateway?.[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
  });

  it('has the variable that rows are repeated for', async () => {
    const names = await prometheus.labelValues('gateway_route_requests_total', 'route');
    expect(names).toEqual(['/budgeting/**', route]);
    const row = readDashboard('overview').panels?.find(({ title }) => title === 'Route $route');
    expect(row).toMatchObject({ repeat: 'route', collapsed: true });
  });

  it.each(hiddenPanelsOf(readDashboard('overview')))('has data for the panel $title', async ({ targets }) => {
    const exact = route.replaceAll('*', '\\\\*');
    for (const { expr } of targets ?? []) {
      const filled = fill(String(expr), { route: exact, __rate_interval: '1m' });
      const rises = async () =>
        (await prometheus.query(filled)).some(({ points }) => Number.isFinite(points[0]?.[1]));
      await eventually(filled, rises);
    }
  });

  it('counts what matched', async () => {
    const counted = async () =>
      (await prometheus.query(`gateway_route_requests_total{route="${route}"} > 0`)).map(
        ({ metric: { status }, points }) => [status, points[0]?.[1]],
      );
    await eventually('five', async () => `${await counted()}` === '200,5');
  });
});

describe('fill', () => {
  it('puts variables in and leaves what it does not know', () => {
    expect(fill('a{b="$c"}[$d] $e', { c: '1', d: '2m' })).toBe('a{b="1"}[2m] $e');
  });
});

/** What a gateway shows that has all there is to have: its metrics, with the labels of their series. */
async function shownMetrics(): Promise<[name: string, labels: string][]> {
  const service = '/a';
  const replica = {
    ...{ service, instance: 'a.1', requestCount: 1, inFlight: 1, healthy: true },
    ...{ passesChecks: true, breakerState: 0 },
  };
  const readings = {
    ...NO_READINGS,
    replicas: () => [replica],
    concurrency: () => [{ service, held: 1, limit: 1, streams: 1, streamLimit: 1 }],
    routeConcurrency: () => [
      { route: 'one', requests: { held: 1, limit: 1 }, streams: { held: 1, limit: 1 } },
    ],
    cache: async () => [{ tier: 'store', entries: 1, bytes: 1 }],
    certificateExpiresAtMs: () => 0,
    upstreamCertificates: () => [{ service: '/a', expiresAtMs: 0 }],
    unknownNames: () => new Map([['a', 1]]),
    redisNodes: async () => [{ name: 'a', isUp: true }],
  };
  const one = ['one'];
  const known = {
    service: [service],
    serviceWithHealth: [service],
    result: one,
    route: one,
    port: one,
    code: one,
    reason: one,
    problem: one,
    call: one,
    policy: one,
    outcome: one,
    coding: one,
    cause: one,
    rateLimits: [['one', service, 'one']],
    mirrors: [[service, service, 'one']],
  };
  const metrics = await new Metrics({ readings, known, processMetrics: false }).registry.getMetricsAsJSON();
  return metrics.map(({ name, values: [first] }) => {
    const labels = Object.keys(first?.labels ?? { nothing: 'shown' });
    return [name, labels.filter((label) => label !== 'le').join(', ')];
  });
}

function cellsOf({ x, y, w, h }: { x: number; y: number; w: number; h: number }): string[] {
  return Array.from({ length: w * h }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`);
}

function sum(values: Iterable<number>): number {
  return Array.from(values).reduce((total, value) => total + value, 0);
}
