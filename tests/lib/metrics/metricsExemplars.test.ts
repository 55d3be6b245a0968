import { describe, expect, it } from '@jest/globals';
import type { RequestReading } from '../../../lib/metrics/definitions/requests.ts';
import { Metrics } from '../../../lib/metrics/metrics.ts';
import { Exemplars, readsOpenMetrics } from '../../../lib/metrics/series/exemplars.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { NO_READINGS } from '../../support/monitoring/readings.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const OTHER_TRACE = '0af7651916cd43dd8448eb211c80319c';

function metricsWith(exemplars: boolean): Metrics {
  return new Metrics({ readings: NO_READINGS, exemplars, processMetrics: false });
}

function completed(part: Partial<RequestReading>): RequestReading {
  const usual = { service: '/a', method: 'GET', status: 200, port: 'external', origin: 'upstream' } as const;
  return { ...usual, seconds: 0.02, ...part };
}

async function linesOf(metrics: Metrics, start: string): Promise<string[]> {
  const text = (await metrics.exemplars?.openMetrics(metrics.registry)) ?? '';
  return text.split('\n').filter((line) => line.startsWith(start));
}

describe('exemplars', () => {
  const bucket = (le: string) =>
    `gateway_request_duration_seconds_bucket{le="${le}",service="/a",port="external"}`;

  it('name the last request of each bucket by its trace', async () => {
    const metrics = metricsWith(true);
    for (const traceId of [OTHER_TRACE, TRACE]) metrics.requestCompleted(completed({ traceId }));
    metrics.requestCompleted(completed({ seconds: 31, traceId: OTHER_TRACE }));
    const lines = await linesOf(metrics, 'gateway_request_duration_seconds_bucket');
    const marked = lines.filter((line) => line.includes('#'));
    expect(marked.map((line) => line.replace(/ \d+(\.\d+)?$/, ''))).toEqual([
      `${bucket('0.025')} 2 # {trace_id="${TRACE}"} 0.02`,
      `${bucket('+Inf')} 3 # {trace_id="${OTHER_TRACE}"} 31`,
    ]);
    const [seconds] = marked.map((line) => Number(line.split(' ').at(-1)));
    expect(Math.abs((seconds ?? 0) - Date.now() / 1000)).toBeLessThan(60);
  });

  it('are none of a request whose trace nobody records', async () => {
    const metrics = metricsWith(true);
    metrics.requestCompleted(completed({}));
    expect(await linesOf(metrics, bucket('0.025'))).toEqual([`${bucket('0.025')} 1`]);
  });

  it('are not even kept where no traces are recorded', () => {
    expect(metricsWith(false).exemplars).toBeUndefined();
  });

  it('stand in a text that calls each counter as the other text does', async () => {
    const metrics = metricsWith(true);
    metrics.requestCompleted(completed({ traceId: TRACE }));
    const text = (await metrics.exemplars?.openMetrics(metrics.registry)) ?? '';
    const plain = await metrics.registry.metrics();
    const samples = (one: string) => one.split('\n').filter((line) => /^gateway_/.test(line));
    expect(samples(text.replaceAll(/ # .*/g, ''))).toEqual(samples(plain));
    expect(text).toContain('# TYPE gateway_requests counter\n');
    expect(text.endsWith('\n# EOF\n')).toBe(true);
  });

  it('belong to the bucket that ends with their value', async () => {
    const metrics = metricsWith(true);
    metrics.requestCompleted(completed({ seconds: 0.25, traceId: TRACE }));
    const text = (await metrics.exemplars?.openMetrics(metrics.registry)) ?? '';
    const marked = text.split('\n').filter((line) => line.includes('trace_id'));
    expect(marked).toEqual([expect.stringContaining('le="0.25"')]);
  });

  it('are kept of no more series than are allowed', async () => {
    const metrics = metricsWith(true);
    const exemplars = new Exemplars({
      histogram: 'gateway_request_duration_seconds',
      labels: ['service', 'port'],
      buckets: [1],
      maxSeries: 2,
      clock: new ManualClock(),
    });
    for (const service of ['/a', '/b', '/c', '/a']) {
      metrics.requestCompleted(completed({ service }));
      exemplars.keep(0.02, TRACE, service, 'external');
    }
    const lines = (await exemplars.openMetrics(metrics.registry)).split('\n');
    const marked = lines.filter((line) => line.includes('trace_id'));
    expect(marked.some((line) => line.includes('"/b"'))).toBe(true);
    expect(marked.some((line) => line.includes('"/c"'))).toBe(false);
  });
});

describe('readsOpenMetrics', () => {
  it.each([
    ['application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1', true],
    ['text/plain;version=0.0.4', false],
    ['*/*', false],
    [undefined, false],
  ])('%s: %s', (accept, expected) => {
    expect(readsOpenMetrics(accept)).toBe(expected);
  });
});
