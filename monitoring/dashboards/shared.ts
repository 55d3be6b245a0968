import type { Step, Words } from './panels.ts';

/** Per second, over the window that Grafana finds right for the zoom and the scrape interval. */
export function perSecond(counter: string, selector = '', by = ''): string {
  const grouping = by ? ` by (${by}) ` : '';
  const series = selector ? `${counter}{${selector}}` : counter;
  return `sum${grouping}(rate(${series}[$__rate_interval]))`;
}

/** Share of 5xx, in percent; 0 without requests. */
export function errorShare(selector: string): string {
  const errors = perSecond('gateway_requests_total', `${selector},status=~"5.."`);
  return `100 * ${errors} / (${perSecond('gateway_requests_total', selector)} > 0) or vector(0)`;
}

export function latencyQuantile(quantile: number, selector: string, by = ''): string {
  const labels = by ? `le, ${by}` : 'le';
  return `histogram_quantile(${quantile}, ${perSecond('gateway_request_duration_seconds_bucket', selector, labels)})`;
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
