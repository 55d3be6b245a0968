import type { Step, Words } from './panels.ts';

/** Per second, over the window that Grafana finds right for the zoom and the scrape interval. */
export function perSecond(counter: string, selector = '', by = ''): string {
  const grouping = by ? ` by (${by}) ` : '';
  const series = selector ? `${counter}{${selector}}` : counter;
  return `sum${grouping}(rate(${series}[$__rate_interval]))`;
}

/** Share of 5xx, in percent; 0 without requests. */
export function errorShare(selector: string, counter = 'gateway_requests_total'): string {
  const errors = perSecond(counter, `${selector},status=~"5.."`);
  return `100 * ${errors} / (${perSecond(counter, selector)} > 0) or vector(0)`;
}

export function latencyQuantile(
  quantile: number,
  selector: string,
  by = '',
  histogram = 'gateway_request_duration_seconds',
): string {
  const labels = by ? `le, ${by}` : 'le';
  return `histogram_quantile(${quantile}, ${perSecond(`${histogram}_bucket`, selector, labels)})`;
}

export const PERCENT_STEPS: readonly Step[] = [
  [null, 'green'],
  [1, 'orange'],
  [5, 'red'],
];

export const HEALTH: Words = { 0: ['unhealthy', 'red'], 1: ['healthy', 'green'] };

export const STORE: Words = { 0: ['DOWN', 'red'], 1: ['up', 'green'] };

export const BREAKER_STATES: Words = {
  0: ['closed', 'green'],
  1: ['open', 'red'],
  2: ['half-open', 'orange'],
};
