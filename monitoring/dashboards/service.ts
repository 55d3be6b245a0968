import type { Dashboard } from '@grafana/schema';
import { dashboard, labelVariable, type Row } from './dashboard.ts';
import { SELECTED, SELECTED_SERVICE, SERVICE_DASHBOARD } from './names.ts';
import { graph, stat, timeline } from './panels.ts';
import { BREAKER_STATES, errorShare, HEALTH, latencyQuantile, PERCENT_STEPS, perSecond } from './shared.ts';

const NOW: Row = {
  title: '$service now',
  width: 4,
  height: 4,
  panels: [
    stat({
      title: 'Traffic',
      description: 'Responses per second.',
      unit: 'reqps',
      queries: [{ expr: perSecond('gateway_requests_total', SELECTED), legend: 'requests' }],
    }),
    stat({
      title: 'Errors of the service',
      description: 'Share of requests to which the service itself responded with a 5xx.',
      unit: 'percent',
      queries: [{ expr: errorShare(`${SELECTED},origin="upstream"`), legend: '5xx' }],
      thresholds: PERCENT_STEPS,
    }),
    stat({
      title: 'Latency P95',
      description: 'Nineteen of twenty requests were over within this time.',
      unit: 's',
      queries: [{ expr: latencyQuantile(0.95, SELECTED), legend: 'P95' }],
      thresholds: [
        [null, 'green'],
        [0.5, 'orange'],
        [1, 'red'],
      ],
    }),
    stat({
      title: 'Limit in use',
      description: 'Share of the limits of requests and of streams that is taken, in the fullest gateway.',
      unit: 'percent',
      max: 100,
      queries: [
        {
          expr: `100 * max(gateway_concurrent_requests{${SELECTED_SERVICE}} / gateway_concurrency_limit{${SELECTED_SERVICE}})`,
          legend: 'requests',
        },
        {
          expr: `100 * max(gateway_streams{${SELECTED_SERVICE}} / gateway_stream_limit{${SELECTED_SERVICE}})`,
          legend: 'streams',
        },
      ],
      thresholds: [
        [null, 'green'],
        [70, 'orange'],
        [90, 'red'],
      ],
    }),
    stat({
      title: 'Replicas in use',
      description:
        'Replicas that are healthy and whose breaker is closed, as the gateway that knows fewest sees it.',
      unit: 'short',
      queries: [
        {
          expr: `count(max by (instance) (gateway_circuit_breaker_state{${SELECTED_SERVICE}}) == 0 and min by (instance) (gateway_lb_instance_health{${SELECTED_SERVICE}}) == 1) or vector(0)`,
          legend: 'in use',
        },
      ],
      thresholds: [
        [null, 'red'],
        [1, 'green'],
      ],
    }),
    stat({
      title: 'Cache hit rate',
      description: 'Share of GETs that the service was spared.',
      unit: 'percent',
      max: 100,
      queries: [
        {
          expr: `100 * ${perSecond('gateway_cache_hits_total', SELECTED_SERVICE)} / (${perSecond('gateway_cache_hits_total', SELECTED_SERVICE)} + ${perSecond('gateway_cache_misses_total', SELECTED_SERVICE)} > 0) or vector(0)`,
          legend: 'hit rate',
        },
      ],
    }),
  ],
};

const OVER_TIME: Row = {
  title: 'Requests',
  width: 8,
  height: 9,
  panels: [
    graph({
      title: 'Responses',
      description: 'Requests per second by status, and whether service or gateway settled it.',
      unit: 'reqps',
      queries: [
        {
          expr: `${perSecond('gateway_requests_total', SELECTED, 'status, origin')} > 0`,
          legend: '{{status}} ({{origin}})',
        },
      ],
      stacked: true,
    }),
    graph({
      title: 'Latency by Port',
      description: 'P50 and P95, users and services apart.',
      unit: 's',
      queries: [0.5, 0.95].map((quantile) => ({
        expr: latencyQuantile(quantile, SELECTED, 'port'),
        legend: `P${quantile * 100} {{port}}`,
        exemplar: true,
      })),
    }),
    graph({
      title: 'Replies of the Gateway',
      description: 'Why the gateway replied in the service’s place, by the `code` that clients see.',
      unit: 'reqps',
      queries: [{ expr: `${perSecond('gateway_errors_total', SELECTED, 'code')} > 0`, legend: '{{code}}' }],
      stacked: true,
    }),
  ],
};

const REPLICAS: Row = {
  title: 'Replicas',
  width: 8,
  height: 9,
  panels: [
    graph({
      title: 'Requests by Replica',
      description: 'Requests per second that each replica is sent.',
      unit: 'reqps',
      queries: [
        {
          expr: perSecond('gateway_lb_requests_total', SELECTED_SERVICE, 'instance'),
          legend: '{{instance}}',
        },
      ],
    }),
    graph({
      title: 'In Flight by Replica',
      description: 'Requests under way at each replica, of users and services.',
      unit: 'short',
      queries: [
        {
          expr: `sum by (instance) (gateway_lb_instance_in_flight{${SELECTED_SERVICE}})`,
          legend: '{{instance}}',
        },
      ],
    }),
    graph({
      title: 'Imbalance',
      description: 'Standard deviation of the requests that replicas have had: lower is better.',
      unit: 'short',
      queries: [
        {
          expr: `stddev by (service) (sum by (service, instance) (gateway_lb_instance_load{${SELECTED_SERVICE}}))`,
          legend: 'standard deviation',
        },
      ],
    }),
    timeline({
      title: 'Instance Health Status',
      description: 'What the registry and health checks say of each replica.',
      unit: 'short',
      queries: [
        {
          expr: `min by (service, instance) (gateway_lb_instance_health{${SELECTED_SERVICE}})`,
          legend: '{{instance}}',
        },
      ],
      words: HEALTH,
      leadsToService: true,
    }),
    graph({
      title: 'Health Checks',
      description: 'Probes of replicas per second by how they went, of a service that has health checks.',
      unit: 'ops',
      queries: [
        {
          expr: `${perSecond('gateway_replica_health_probes_total', SELECTED_SERVICE, 'result')} > 0`,
          legend: '{{result}}',
        },
        {
          expr: perSecond('gateway_replica_health_failures_total', SELECTED_SERVICE, 'instance'),
          legend: '{{instance}} taken out',
        },
      ],
    }),
    timeline({
      title: 'Circuit Breaker Status',
      description: 'Open: the replica failed and gets nothing. Half-open: one request tries it.',
      unit: 'short',
      queries: [
        {
          expr: `max by (service, instance) (gateway_circuit_breaker_state{${SELECTED_SERVICE}})`,
          legend: '{{instance}}',
        },
      ],
      words: BREAKER_STATES,
      leadsToService: true,
    }),
    graph({
      title: 'Failures by Replica',
      description:
        'Failed calls per second; enough of them within the window open the breaker, unless half of the replicas are open.',
      unit: 'ops',
      queries: [
        {
          expr: perSecond('gateway_circuit_breaker_failures_total', SELECTED_SERVICE, 'instance'),
          legend: '{{instance}}',
        },
        {
          expr: perSecond('gateway_circuit_breaker_held_total', SELECTED_SERVICE, 'instance'),
          legend: '{{instance}} held',
        },
      ],
    }),
  ],
};

const LIMITS_AND_CACHE: Row = {
  title: 'Limits and cache',
  width: 8,
  height: 8,
  panels: [
    graph({
      title: 'Concurrent Requests',
      description: 'Users’ requests under way, and how many may be; open streams beside them.',
      unit: 'short',
      queries: [
        { expr: `sum(gateway_concurrent_requests{${SELECTED_SERVICE}})`, legend: 'under way' },
        { expr: `sum(gateway_concurrency_limit{${SELECTED_SERVICE}})`, legend: 'limit' },
        { expr: `sum(gateway_streams{${SELECTED_SERVICE}})`, legend: 'streams' },
      ],
    }),
    graph({
      title: 'Refused and Timed Out',
      description:
        '429 at the concurrency limit and at rate limits, and requests that REQUEST_TIMEOUT ended, per second.',
      unit: 'reqps',
      queries: [
        {
          expr: perSecond('gateway_concurrency_limit_reached_total', SELECTED_SERVICE),
          legend: '429 concurrency',
        },
        { expr: perSecond('gateway_rate_limited_total', SELECTED_SERVICE), legend: '429 rate' },
        { expr: perSecond('gateway_request_timeouts_total', SELECTED), legend: '504' },
      ],
    }),
    graph({
      title: 'Cache Performance',
      description: 'GETs served from the cache, and those that were not.',
      unit: 'reqps',
      queries: [
        { expr: perSecond('gateway_cache_hits_total', SELECTED_SERVICE), legend: 'hits' },
        { expr: perSecond('gateway_cache_misses_total', SELECTED_SERVICE), legend: 'misses' },
        { expr: perSecond('gateway_cache_errors_total', SELECTED_SERVICE), legend: 'errors' },
        { expr: perSecond('gateway_cache_declined_total', SELECTED_SERVICE), legend: 'declined' },
      ],
    }),
    graph({
      title: 'Compression',
      description: 'Content of responses before and after they were compressed, by coding.',
      unit: 'Bps',
      queries: [
        {
          expr: perSecond('gateway_compression_bytes_in_total', SELECTED_SERVICE, 'coding'),
          legend: '{{coding}} before',
        },
        {
          expr: perSecond('gateway_compression_bytes_out_total', SELECTED_SERVICE, 'coding'),
          legend: '{{coding}} after',
        },
      ],
    }),
    graph({
      title: 'Uncompressed',
      description:
        'Responses on routes with compression that were sent uncompressed, by cause, and those that broke off.',
      unit: 'reqps',
      queries: [
        {
          expr: perSecond('gateway_compression_uncoded_total', SELECTED_SERVICE, 'cause'),
          legend: '{{cause}}',
        },
        { expr: perSecond('gateway_compression_failures_total', SELECTED_SERVICE), legend: 'broken off' },
      ],
    }),
  ],
};

export const service: Dashboard = dashboard({
  uid: SERVICE_DASHBOARD,
  title: 'PAD FAF Gateway - Service',
  description: 'One service behind the gateway, down to its replicas.',
  variables: [labelVariable('service', 'one'), labelVariable('port', 'many')],
  rows: [NOW, OVER_TIME, REPLICAS, LIMITS_AND_CACHE],
});
