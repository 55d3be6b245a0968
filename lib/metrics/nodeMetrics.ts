import { collectDefaultMetrics, Histogram, type Registry } from 'prom-client';

/** Kinds of garbage collection: some come so seldom that their first would be missed. */
const COLLECTIONS = ['minor', 'incremental', 'major', 'weakcb'] as const;

/** Gauges of prom-client whose names end as a counter's do: Prometheus' own check objects. Their kin per type stays. */
const ILL_NAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
] as const;

/** Adds Node's own metrics: of the process and this thread, or of this thread alone. */
export function addNodeMetrics(registry: Registry, { ofProcess }: { readonly ofProcess: boolean }): void {
  collectDefaultMetrics({ register: registry });
  for (const name of ILL_NAMED) registry.removeSingleMetric(name);
  const collections = registry.getSingleMetric('nodejs_gc_duration_seconds');
  if (collections instanceof Histogram) for (const kind of COLLECTIONS) collections.zero({ kind });
  if (!ofProcess) dropThoseOfProcess(registry);
}

/** Each thread would show the whole, and their sum be a multiple of it. */
function dropThoseOfProcess(registry: Registry): void {
  for (const { name } of registry.getMetricsAsArray()) {
    if (name.startsWith('process_')) registry.removeSingleMetric(name);
  }
}
