import { counter, type GaugeDefinition } from '../series/definition.ts';

/** What went wrong in the process or with what it tells others. */
export const PROCESS_COUNTERS = {
  spanExportErrors: counter(
    'gateway_span_export_errors_total',
    [],
    'Batches of spans that the OpenTelemetry collector did not take.',
  ),
  exhausted: counter(
    'gateway_exhausted_total',
    [],
    'Connections to replicas that could not be opened for lack of descriptors, ports or memory of the gateway.',
  ),
  uncaughtErrors: counter(
    'gateway_uncaught_errors_total',
    [],
    'Errors that nobody caught: after the first the gateway drains and ends.',
  ),
};

/** What runs. */
export function processGauges(version: string): GaugeDefinition[] {
  return [
    {
      name: 'gateway_build_info',
      help: 'Always 1; the labels tell what runs.',
      labels: ['version'],
      read: () => [[1, version]],
    },
  ];
}
