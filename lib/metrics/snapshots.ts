import { AggregatorRegistry, type Registry } from 'prom-client';

/** Every metric of one thread, in a form that can be sent to another. */
export type Snapshot = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

/** Series of the same labels become one: their sum, or what their metric says (`aggregator`). */
export function mergedText(snapshots: readonly Snapshot[]): Promise<string> {
  return AggregatorRegistry.aggregate([...snapshots]).metrics();
}

/** What is left of threads that have ended: what they have counted, but not how they were. */
export function mergedCounts(snapshots: readonly Snapshot[]): Snapshot {
  const counts = snapshots.map((snapshot) => snapshot.filter(({ type }) => isCount(String(type))));
  return AggregatorRegistry.aggregate(counts).getMetricsAsArray() as Snapshot;
}

/** Without the series whose labels have all of these values. */
export function withoutSeries(snapshot: Snapshot, gone: Readonly<Record<string, string>>): Snapshot {
  const wanted = Object.entries(gone);
  const isGone = (labels: Partial<Record<string, string | number>>) =>
    wanted.every(([label, value]) => labels[label] === value);
  return snapshot.map((metric) => {
    return { ...metric, values: metric.values.filter(({ labels }) => !isGone(labels)) };
  });
}

function isCount(type: string): boolean {
  return type === 'counter' || type === 'histogram';
}
