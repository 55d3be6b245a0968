import { beforeAll, expect, it } from '@jest/globals';
import { eventually } from '../../support/eventually.ts';
import { startGateway } from '../../support/gateway/gateway.ts';
import { ensurePrometheus, startPrometheus } from '../../support/monitoring/prometheus.ts';
import { INSTALLS_WITHIN_MS } from '../../support/processes/command.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const CALLER = '00f067aa0ba902b7';
const DURATIONS = 'gateway_request_duration_seconds_bucket';
const OPEN_METRICS = { Accept: 'application/openmetrics-text;version=1.0.0' };

beforeAll(ensurePrometheus, INSTALLS_WITHIN_MS);

it('a real Prometheus learns of a slow request which trace tells about it', async () => {
  await using collector = await startUpstream((_req, res) => void res.end('{}'));
  await using upstream = await startUpstream();
  await using gateway = await startGateway({
    services: { '/budgeting': [upstream] },
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url.origin },
  });
  const ask = (flags: string, path: string) =>
    fetch(`${gateway.internal}/internal/budgeting/${path}`, {
      headers: { traceparent: `00-${TRACE}-${CALLER}-${flags}` },
    });
  await ask('01', 'recorded');
  const prometheus = await startPrometheus({ targets: [new URL(gateway.internal).host] });
  try {
    const found = await eventually('an exemplar', async () => {
      const query = {
        query: DURATIONS,
        start: String(Date.now() / 1000 - 600),
        end: String(Date.now() / 1000),
      };
      const answer = await fetch(`${prometheus.url}/api/v1/query_exemplars?${new URLSearchParams(query)}`);
      const { data } = (await answer.json()) as { data: Found[] };
      return data.length > 0 && data;
    });
    expect(found.map(({ seriesLabels }) => seriesLabels)).toEqual([
      expect.objectContaining({ __name__: DURATIONS, service: '/budgeting', port: 'internal' }),
    ]);
    expect(found[0]?.exemplars.map(({ labels }) => labels)).toEqual([{ trace_id: TRACE }]);
    // What it reads then is worth as much.
    const [counted] = await prometheus.query('gateway_requests_total{service="/budgeting",status="200"} > 0');
    expect(counted?.points[0]?.[1]).toBe(1);
  } finally {
    await prometheus.stop();
  }
}, 60_000);

it('a request that its caller does not record is no exemplar', async () => {
  await using collector = await startUpstream((_req, res) => void res.end('{}'));
  await using upstream = await startUpstream();
  await using gateway = await startGateway({
    services: { '/budgeting': [upstream] },
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url.origin },
  });
  await fetch(`${gateway.internal}/internal/budgeting/x`, {
    headers: { traceparent: `00-${TRACE}-${CALLER}-00` },
  });
  const answer = await fetch(`${gateway.internal}/metrics`, { headers: OPEN_METRICS });
  expect(answer.headers.get('content-type')).toMatch(/^application\/openmetrics-text/);
  expect(await answer.text()).not.toContain('trace_id');
});

it('without a collector scrapers get the classic text, whatever they read', async () => {
  await using upstream = await startUpstream();
  await using gateway = await startGateway({ services: { '/budgeting': [upstream] } });
  const answer = await fetch(`${gateway.internal}/metrics`, { headers: OPEN_METRICS });
  expect(answer.headers.get('content-type')).toMatch(/^text\/plain/);
  expect(await answer.text()).toContain('# TYPE gateway_requests_total counter\n');
});

interface Found {
  readonly seriesLabels: Readonly<Record<string, string>>;
  readonly exemplars: readonly { readonly labels: Readonly<Record<string, string>> }[];
}
