import { httpUrl } from '../kinds/addresses.ts';
import * as kinds from '../kinds/kinds.ts';
import type { VariableGroup } from './variable.ts';

export const logs = {
  title: 'Logs',
  page: 'logs.md',
  rows: {
    logLevel: {
      name: 'LOG_LEVEL',
      kind: kinds.choice('error', 'warn', 'info', 'debug'),
      default: 'info',
      description: 'The least important messages to log.',
    },
    logFormat: {
      name: 'LOG_FORMAT',
      kind: kinds.choice('auto', 'json', 'pretty'),
      default: 'auto',
      description: 'One JSON object a line, or lines for people; `auto` is JSON unless stdout is a terminal.',
    },
    accessLogSample: {
      name: 'ACCESS_LOG_SAMPLE',
      kind: kinds.share,
      default: '1',
      description:
        'The share of requests of users that leave an access line. Failed and slow ones always do, and so do all requests on the internal port.',
    },
    accessLogSlowMs: {
      name: 'ACCESS_LOG_SLOW',
      kind: kinds.duration,
      default: '1s',
      description: 'A request that takes as long counts as slow.',
    },
  },
} as const satisfies VariableGroup;

export const metrics = {
  title: 'Metrics and diagnosis',
  page: 'monitoring.md',
  rows: {
    externalMetrics: {
      name: 'EXTERNAL_METRICS',
      kind: kinds.flag,
      default: 'false',
      description:
        'Shows `/metrics` on the port for users as well, to everybody: replica addresses and traffic are in it. Otherwise they are on the internal port alone. The image and the playground say `true`, as the original does; in production say `false`.',
    },
    serverTiming: {
      name: 'SERVER_TIMING',
      kind: kinds.flag,
      default: 'false',
      description: 'Tells clients in `Server-Timing` where the time until their response began has gone.',
    },
    heapSnapshotDir: {
      name: 'HEAP_SNAPSHOT_DIR',
      kind: kinds.text('the path of a directory'),
      unset: 'none is taken',
      description:
        'Where SIGURG writes a heap snapshot: all that is in the memory of the main thread, secrets too. Only the user of the gateway can read it.',
    },
  },
} as const satisfies VariableGroup;

export const tracing = {
  title: 'Tracing',
  page: 'logs.md#traces',
  rows: {
    otlpEndpoint: {
      name: 'OTEL_EXPORTER_OTLP_ENDPOINT',
      kind: httpUrl,
      unset: 'nothing is recorded',
      description:
        'The OpenTelemetry collector that gets a span for each request and each try at a replica, by OTLP over HTTP, such as `http://collector:4318`.',
    },
  },
} as const satisfies VariableGroup;
