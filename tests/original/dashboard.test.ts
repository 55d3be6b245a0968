import { expect, it } from '@jest/globals';
import { panelsOf, readDashboard } from '../support/monitoring/expressions.ts';

const PANELS = panelsOf(readDashboard('overview'));

/** What the original's document says that a panel shows, as what must stand in its queries and legends. */
it.each([
  ['Request Rate', ['gateway_requests_total', 'service, method']],
  ['Error Rate', ['gateway_requests_total', 'status=~"5.."']],
  ['Request Latency', ['gateway_request_duration_seconds_bucket', 'P50', 'P95', 'P99']],
  ['Load Balancer Distribution', ['gateway_lb_requests_total', 'service, instance']],
  ['Instance Health Status', ['gateway_lb_instance_health', 'service, instance']],
  ['Cache Performance', ['gateway_cache_hits_total', 'gateway_cache_misses_total', '100 *']],
  ['JWT Operations', ['gateway_jwt_generated_total', 'gateway_jwt_validation_success_total']],
  ['JWT Operations', ['gateway_jwt_validation_errors_total']],
  ['Concurrent Requests', ['gateway_concurrent_requests', 'service']],
  ['Circuit Breaker Status', ['gateway_circuit_breaker_state', 'service, instance']],
  ['Circuit Breaker Events', ['gateway_circuit_breaker_trips_total']],
])('the panel %s shows %j', (title, parts) => {
  const panel = PANELS.find((one) => one.title === title);
  const targets = panel?.targets ?? [];
  const text = targets.map(({ expr, legendFormat }) => `${expr} ${legendFormat}`).join('\n');
  expect(parts.filter((part) => !text.includes(part))).toEqual([]);
});

it('the dashboard is called as in the original', () => {
  expect(readDashboard('overview').title).toBe('PAD FAF Gateway - Overview');
});
