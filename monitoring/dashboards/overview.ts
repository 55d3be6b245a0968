import type { Dashboard } from '@grafana/schema';
import { dashboard, labelVariable, ROUTE_VARIABLE, type Row } from './dashboard.ts';
import { JOB, OVERVIEW_DASHBOARD, SELECTED, SELECTED_ROUTE, SELECTED_SERVICE } from './names.ts';
import { graph, stat, timeline } from './panels.ts';
import {
  BREAKER_STATES,
  errorShare,
  HEALTH,
  latencyQuantile,
  PERCENT_STEPS,
  perSecond,
  STORE,
} from './shared.ts';

/** What an operator looks at first: is anything wrong, since when, and where. */
const GOLDEN_SIGNALS: Row = {
  title: 'Golden signals',
  width: 3,
  height: 4,
  panels: [
    stat({
      title: 'Traffic',
      description: 'Responses per second.',
      unit: 'reqps',
      queries: [{ expr: perSecond('gateway_requests_total', SELECTED), legend: 'requests' }],
    }),
    stat({
      title: 'Errors',
      description: 'Share of responses with a 5xx, from services or the gateway.',
      unit: 'percent',
      queries: [{ expr: errorShare(SELECTED), legend: '5xx' }],
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
      title: 'Saturation',
      description:
        'How much of its concurrency limit the busiest service uses, or all of them of GLOBAL_CONCURRENCY, and the same for streams. At 100 % users get 429.',
      unit: 'percent',
      max: 100,
      queries: [
        {
          expr: `100 * max(gateway_concurrent_requests{${SELECTED_SERVICE}} / gateway_concurrency_limit{${SELECTED_SERVICE}} or sum without (service) (gateway_concurrent_requests) / gateway_global_concurrency_limit)`,
          legend: 'requests',
        },
        {
          expr: `100 * max(gateway_streams{${SELECTED_SERVICE}} / gateway_stream_limit{${SELECTED_SERVICE}} or sum without (service) (gateway_streams) / gateway_global_stream_limit)`,
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
      title: 'Breakers open',
      description: 'Replicas that are kept from requests because they failed.',
      unit: 'short',
      queries: [
        {
          expr: `count(gateway_circuit_breaker_state{${SELECTED_SERVICE}} > 0) or vector(0)`,
          legend: 'open',
        },
      ],
      thresholds: [
        [null, 'green'],
        [1, 'red'],
      ],
    }),
    stat({
      title: 'Replicas unhealthy',
      description: 'Replicas that the registry calls unhealthy, or that fail their health check.',
      unit: 'short',
      queries: [
        {
          expr: `count(gateway_lb_instance_health{${SELECTED_SERVICE}} == 0) or vector(0)`,
          legend: 'unhealthy',
        },
      ],
      thresholds: [
        [null, 'green'],
        [1, 'red'],
      ],
    }),
    stat({
      title: 'Store',
      description: 'Redis, or the embedded store: without it no token can be checked for revocation.',
      unit: 'short',
      queries: [{ expr: 'min(gateway_store_up)', legend: 'store' }],
      words: STORE,
    }),
    stat({
      title: 'Gateways',
      description: 'Gateways that Prometheus reaches.',
      unit: 'short',
      queries: [{ expr: `sum(up{${JOB}})`, legend: 'up' }],
      thresholds: [
        [null, 'red'],
        [1, 'green'],
      ],
    }),
  ],
};

const REQUESTS: Row = {
  title: 'Requests',
  width: 8,
  height: 9,
  panels: [
    graph({
      title: 'Request Rate',
      description: 'Requests per second, by service and method.',
      unit: 'reqps',
      queries: [
        {
          expr: perSecond('gateway_requests_total', SELECTED, 'service, method'),
          legend: '{{service}} {{method}}',
        },
      ],
      stacked: true,
      leadsToService: true,
    }),
    graph({
      title: 'Error Rate',
      description:
        '5xx per second: upstream ones came from the service, gateway ones the gateway made itself.',
      unit: 'reqps',
      queries: [
        {
          expr: perSecond('gateway_requests_total', `${SELECTED},status=~"5.."`, 'service, origin'),
          legend: '{{service}} ({{origin}})',
        },
      ],
      stacked: true,
      leadsToService: true,
    }),
    graph({
      title: 'Request Latency',
      description:
        'From the arrival of a request to the end of its response. Where traces are recorded, dots are requests with one.',
      unit: 's',
      queries: [0.5, 0.95, 0.99].map((quantile) => ({
        expr: latencyQuantile(quantile, SELECTED),
        legend: `P${quantile * 100}`,
        exemplar: true,
      })),
      thresholds: [
        [null, 'green'],
        [1, 'red'],
      ],
    }),
  ],
};

const REPLICAS: Row = {
  title: 'Services and their replicas',
  width: 8,
  height: 9,
  panels: [
    graph({
      title: 'Load Balancer Distribution',
      description: 'Requests per second that each replica is sent. Lines of one service should lie together.',
      unit: 'reqps',
      queries: [
        {
          expr: perSecond('gateway_lb_requests_total', SELECTED_SERVICE, 'service, instance'),
          legend: '{{service}} {{instance}}',
        },
      ],
      leadsToService: true,
    }),
    timeline({
      title: 'Instance Health Status',
      description: 'What the registry and health checks say of each replica.',
      unit: 'short',
      queries: [
        {
          expr: `min by (service, instance) (gateway_lb_instance_health{${SELECTED_SERVICE}})`,
          legend: '{{service}} {{instance}}',
        },
      ],
      words: HEALTH,
      leadsToService: true,
    }),
    timeline({
      title: 'Circuit Breaker Status',
      description: 'Open: the replica failed and gets nothing. Half-open: one request tries it.',
      unit: 'short',
      queries: [
        {
          expr: `max by (service, instance) (gateway_circuit_breaker_state{${SELECTED_SERVICE}})`,
          legend: '{{service}} {{instance}}',
        },
      ],
      words: BREAKER_STATES,
      leadsToService: true,
    }),
    graph({
      title: 'Circuit Breaker Events',
      description:
        'Failed calls, trips, failures at which a breaker stayed closed because half of the replicas were open, requests refused because every breaker of the service was open, second tries, hedges and copies to mirrors.',
      unit: 'ops',
      queries: [
        {
          expr: perSecond('gateway_circuit_breaker_failures_total', SELECTED_SERVICE, 'service'),
          legend: '{{service}} failures',
        },
        {
          expr: perSecond('gateway_circuit_breaker_trips_total', SELECTED_SERVICE, 'service'),
          legend: '{{service}} trips',
        },
        {
          expr: perSecond('gateway_circuit_breaker_held_total', SELECTED_SERVICE, 'service'),
          legend: '{{service}} held',
        },
        {
          expr: perSecond('gateway_circuit_breaker_rejected_total', SELECTED_SERVICE, 'service'),
          legend: '{{service}} rejected',
        },
        {
          expr: perSecond('gateway_failovers_total', SELECTED_SERVICE, 'service'),
          legend: '{{service}} second tries',
        },
        {
          expr: perSecond('gateway_hedges_total', SELECTED_SERVICE, 'service'),
          legend: '{{service}} hedges',
        },
        {
          expr: perSecond('gateway_hedges_won_total', SELECTED_SERVICE, 'service'),
          legend: '{{service}} hedges won',
        },
        {
          expr: perSecond('gateway_mirrored_requests_total', SELECTED_SERVICE, 'service, result'),
          legend: '{{service}} copies: {{result}}',
        },
      ],
      leadsToService: true,
    }),
    graph({
      title: 'Concurrent Requests',
      description: 'Users’ requests under way, by service.',
      unit: 'short',
      queries: [
        {
          expr: `sum by (service) (gateway_concurrent_requests{${SELECTED_SERVICE}})`,
          legend: '{{service}}',
        },
      ],
      leadsToService: true,
    }),
    graph({
      title: 'Refused at a Limit',
      description:
        '429 per second: more at a time than PER_SERVICE_LIMIT, GLOBAL_CONCURRENCY, the limits of streams or FAIR_SHARE allow.',
      unit: 'reqps',
      queries: [
        {
          expr: perSecond('gateway_concurrency_limit_reached_total', SELECTED_SERVICE, 'service'),
          legend: '{{service}}',
        },
      ],
      leadsToService: true,
    }),
  ],
};

const GATEWAY: Row = {
  title: 'What the gateway does itself',
  width: 6,
  height: 8,
  panels: [
    graph({
      title: 'Cache Performance',
      description: 'GETs served from the cache, those that were not, and the share of hits at the right.',
      unit: 'reqps',
      queries: [
        { expr: perSecond('gateway_cache_hits_total', SELECTED_SERVICE), legend: 'hits' },
        { expr: perSecond('gateway_cache_misses_total', SELECTED_SERVICE), legend: 'misses' },
        { expr: perSecond('gateway_cache_errors_total', SELECTED_SERVICE), legend: 'errors' },
        { expr: perSecond('gateway_cache_declined_total', SELECTED_SERVICE), legend: 'declined' },
        {
          expr: `100 * ${perSecond('gateway_cache_hits_total', SELECTED_SERVICE)} / (${perSecond('gateway_cache_hits_total', SELECTED_SERVICE)} + ${perSecond('gateway_cache_misses_total', SELECTED_SERVICE)})`,
          legend: 'hit rate',
        },
      ],
      percentages: ['hit rate'],
    }),
    graph({
      title: 'JWT Operations',
      description: 'Tokens handed out at login, accepted, and refused with the reason.',
      unit: 'ops',
      queries: [
        { expr: perSecond('gateway_jwt_generated_total'), legend: 'generated' },
        { expr: perSecond('gateway_jwt_validation_success_total'), legend: 'accepted' },
        { expr: perSecond('gateway_jwt_validation_errors_total', '', 'reason'), legend: '{{reason}}' },
      ],
    }),
    graph({
      title: 'API Keys',
      description:
        'API keys accepted, and refused with the reason; records of them in the store that cannot be read.',
      unit: 'ops',
      queries: [
        { expr: perSecond('gateway_api_key_success_total'), legend: 'accepted' },
        { expr: perSecond('gateway_api_key_errors_total', '', 'problem'), legend: '{{problem}}' },
        { expr: perSecond('gateway_api_key_unreadable_total'), legend: 'records unreadable' },
      ],
    }),
    graph({
      title: 'Replies of the Gateway',
      description: 'What the gateway refused or could not do, by the `code` that clients see.',
      unit: 'reqps',
      queries: [{ expr: `${perSecond('gateway_errors_total', SELECTED, 'code')} > 0`, legend: '{{code}}' }],
      stacked: true,
    }),
    graph({
      title: 'Timeouts',
      description: 'Requests that REQUEST_TIMEOUT ended, by service.',
      unit: 'reqps',
      queries: [
        { expr: perSecond('gateway_request_timeouts_total', SELECTED, 'service'), legend: '{{service}}' },
      ],
      leadsToService: true,
    }),
    graph({
      title: 'Registry',
      description:
        'Calls that failed: no list, and the gateway goes on with the replicas it knew; no update, and the registry does not hear of load and trips. Dropped: the registry was away for too long.',
      unit: 'ops',
      queries: [
        { expr: perSecond('gateway_registry_errors_total', '', 'call'), legend: '{{call}} failed' },
        { expr: perSecond('gateway_registry_calls_dropped_total'), legend: 'update dropped' },
      ],
    }),
    graph({
      title: 'Unknown Names in the Registry',
      description:
        'Entries of the registry whose name no service has: they get no requests. The log says which name may be meant.',
      unit: 'short',
      queries: [{ expr: 'max by (name) (gateway_registry_unknown_names) or vector(0)', legend: '{{name}}' }],
    }),
    timeline({
      title: 'Store and Redis Nodes',
      description:
        'Whether every gateway can use its store and, with USE_REDIS_SHARDING, each node of Redis. The store is up as long as the nodes that respond suffice.',
      unit: 'short',
      queries: [
        {
          expr: 'min by (node) (label_replace(gateway_store_up, "node", "store", "", "") or gateway_redis_node_up)',
          legend: '{{node}}',
        },
      ],
      words: STORE,
    }),
    graph({
      title: 'Refused at a Rate Limit',
      description:
        '429 per second, by RATE_LIMIT_PER_IDENTITY and RATE_LIMIT_PER_ADDRESS. Alone: Redis was away, so each gateway counted for itself.',
      unit: 'reqps',
      queries: [
        { expr: perSecond('gateway_rate_limited_total', SELECTED_SERVICE, 'policy'), legend: '{{policy}}' },
        {
          expr: perSecond('gateway_rate_limit_errors_total', '', 'policy'),
          legend: '{{policy}} counted alone',
        },
      ],
    }),
    graph({
      title: 'Cache Size',
      description:
        'What stored responses take: in the store, and in the memory (near) of the gateway that keeps most.',
      unit: 'bytes',
      queries: [{ expr: 'max by (tier) (gateway_cache_bytes)', legend: '{{tier}}' }],
    }),
    graph({
      title: 'Faults',
      description:
        'What should not be: the log of that minute says more. All of these lines should lie at 0.',
      unit: 'ops',
      queries: [
        { expr: perSecond('gateway_uncaught_errors_total'), legend: 'uncaught errors' },
        { expr: perSecond('gateway_exhausted_total'), legend: 'no descriptor or port left' },
        { expr: perSecond('gateway_tls_handshake_failures_total'), legend: 'TLS handshakes failed' },
        { expr: perSecond('gateway_admin_refused_total'), legend: 'admin token refused' },
        { expr: perSecond('gateway_internal_peers_refused_total'), legend: 'strangers at the internal port' },
        { expr: perSecond('gateway_span_export_errors_total'), legend: 'spans not taken' },
        { expr: perSecond('gateway_metrics_folded_total'), legend: 'series without room' },
      ],
    }),
  ],
};

const PROCESS: Row = {
  title: 'The gateway as a process',
  width: 6,
  height: 8,
  panels: [
    graph({
      title: 'CPU',
      description: 'Cores used. A gateway is one thread: near 1 it is full.',
      unit: 'short',
      queries: [
        {
          expr: `sum by (gateway) (rate(process_cpu_seconds_total{${JOB}}[$__rate_interval]))`,
          legend: '{{gateway}}',
        },
      ],
      thresholds: [
        [null, 'green'],
        [0.8, 'red'],
      ],
    }),
    graph({
      title: 'Memory',
      description: 'Resident memory of the process, and the part of it that is JavaScript heap in use.',
      unit: 'bytes',
      queries: [
        { expr: `process_resident_memory_bytes{${JOB}}`, legend: '{{gateway}} resident' },
        { expr: `nodejs_heap_size_used_bytes{${JOB}}`, legend: '{{gateway}} heap' },
      ],
    }),
    graph({
      title: 'Event Loop Lag P99',
      description: 'How late timers run. Above 100 ms every request waits: add a gateway.',
      unit: 's',
      queries: [{ expr: `nodejs_eventloop_lag_p99_seconds{${JOB}}`, legend: '{{gateway}}' }],
      thresholds: [
        [null, 'green'],
        [0.1, 'red'],
      ],
    }),
    graph({
      title: 'Versions',
      description: 'Gateways running, by version: two lines during an upgrade.',
      unit: 'short',
      queries: [{ expr: 'sum by (version) (gateway_build_info)', legend: '{{version}}' }],
      stacked: true,
    }),
  ],
};

/** For each route, where there are any. It has no service and port: its name says which requests it is for. */
const ROUTE: Row = {
  title: 'Route $route',
  width: 6,
  height: 8,
  repeat: 'route',
  panels: [
    graph({
      title: 'Responses of the Route',
      description: 'Requests per second that matched the route, by status.',
      unit: 'reqps',
      queries: [
        {
          expr: `${perSecond('gateway_route_requests_total', SELECTED_ROUTE, 'status')} > 0`,
          legend: '{{status}}',
        },
      ],
      stacked: true,
    }),
    graph({
      title: 'Errors of the Route',
      description: 'Share of its requests that got a 5xx, by whoever.',
      unit: 'percent',
      queries: [{ expr: errorShare(SELECTED_ROUTE, 'gateway_route_requests_total'), legend: '5xx' }],
      thresholds: PERCENT_STEPS,
    }),
    graph({
      title: 'Latency of the Route',
      description: 'From the arrival of a request that matched the route to the end of its response.',
      unit: 's',
      queries: [0.5, 0.95, 0.99].map((quantile) => ({
        expr: latencyQuantile(quantile, SELECTED_ROUTE, '', 'gateway_route_request_duration_seconds'),
        legend: `P${quantile * 100}`,
      })),
    }),
    graph({
      title: 'Permits of the Route',
      description:
        'Requests and streams under way, and how many may be, where the route has permits of its own.',
      unit: 'short',
      queries: [
        { expr: `gateway_route_concurrent_requests{${SELECTED_ROUTE}}`, legend: 'requests' },
        { expr: `gateway_route_concurrency_limit{${SELECTED_ROUTE}}`, legend: 'may be' },
        { expr: `gateway_route_streams{${SELECTED_ROUTE}}`, legend: 'streams' },
        { expr: `gateway_route_stream_limit{${SELECTED_ROUTE}}`, legend: 'streams may be' },
      ],
    }),
  ],
};

export const overview: Dashboard = dashboard({
  uid: OVERVIEW_DASHBOARD,
  title: 'PAD FAF Gateway - Overview',
  description: 'All services behind the gateway. Click a line to see its service alone.',
  variables: [labelVariable('service', 'many'), labelVariable('port', 'many'), ROUTE_VARIABLE],
  rows: [GOLDEN_SIGNALS, REQUESTS, REPLICAS, GATEWAY, PROCESS, ROUTE],
});
