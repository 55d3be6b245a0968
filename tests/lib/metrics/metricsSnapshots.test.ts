import { describe, expect, it } from '@jest/globals';
import { Metrics, type Readings } from '../../../lib/metrics/metrics.ts';
import { mergedCounts, mergedText, withoutSeries } from '../../../lib/metrics/snapshots.ts';
import { NO_READINGS } from '../../support/monitoring/readings.ts';

/** Of one thread that has seen so many requests; `held` is what all threads read. */
function metricsOf(requests: number, { held = 0, storeUp = true } = {}): Metrics {
  const readings: Readings = {
    ...NO_READINGS,
    concurrency: () => [{ service: '/up', held, limit: 10, streams: 0, streamLimit: 10 }],
    globalStreamLimit: () => 100,
    storeUp: async () => storeUp,
  };
  const metrics = new Metrics({ readings, processMetrics: false });
  for (let i = 0; i < requests; i += 1) {
    metrics.requestCompleted({
      service: '/up',
      method: 'GET',
      status: 200,
      port: 'external',
      origin: 'upstream',
      seconds: 0.02,
    });
    metrics.lbRequests.count('/up', 'r1');
  }
  return metrics;
}

function snapshotOf(metrics: Metrics) {
  return metrics.registry.getMetricsAsJSON();
}

function seriesValue(text: string, series: string): number {
  const line = text.split('\n').find((each) => each.startsWith(`${series} `));
  return Number(line?.slice(series.length));
}

const REQUESTS =
  'gateway_requests_total{service="/up",method="GET",status="200",port="external",origin="upstream"}';

describe('the metrics of several threads', () => {
  it('add up what each has counted, and show once what all read', async () => {
    const threads = [metricsOf(3, { held: 7 }), metricsOf(4, { held: 7, storeUp: false })];
    const text = await mergedText(await Promise.all(threads.map(snapshotOf)));
    expect(seriesValue(text, REQUESTS)).toBe(7);
    expect(seriesValue(text, 'gateway_request_duration_seconds_count{service="/up",port="external"}')).toBe(
      7,
    );
    const bucket = 'gateway_request_duration_seconds_bucket{le="0.025",service="/up",port="external"}';
    expect(seriesValue(text, bucket)).toBe(7);
    expect(seriesValue(text, 'gateway_concurrent_requests{service="/up"}')).toBe(7);
    expect(seriesValue(text, 'gateway_concurrency_limit{service="/up"}')).toBe(10);
    expect(seriesValue(text, 'gateway_store_up')).toBe(0);
  });

  it('keep what a thread has counted that has ended, but not how it was', async () => {
    const ended = mergedCounts([
      await snapshotOf(metricsOf(5, { held: 9 })),
      await snapshotOf(metricsOf(1, { held: 9 })),
    ]);
    const text = await mergedText([await snapshotOf(metricsOf(2, { held: 1 })), ended]);
    expect(seriesValue(text, REQUESTS)).toBe(8);
    expect(seriesValue(text, 'gateway_concurrent_requests{service="/up"}')).toBe(1);
  });

  it('drop the series of a replica that has left', async () => {
    const ended = mergedCounts([await snapshotOf(metricsOf(5))]);
    const left = withoutSeries(ended, { service: '/up', instance: 'r1' });
    expect(await mergedText([ended])).toContain('instance="r1"');
    expect(await mergedText([left])).not.toContain('instance="r1"');
    expect(seriesValue(await mergedText([left]), REQUESTS)).toBe(5);
  });
});
