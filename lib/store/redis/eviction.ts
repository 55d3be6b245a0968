/** How a Redis with a bound evicts keys when its memory is full. The keys may be revocations. */
export interface Eviction {
  /** `maxmemory-policy`, such as `allkeys-lru`. */
  readonly policy: string;
  /** `maxmemory`, in bytes. */
  readonly maxMemoryBytes: number;
  /** Which server, when there are several. */
  readonly node?: string | undefined;
}

/**
 * The eviction that INFO reports; undefined without a bound or with `noeviction`. Logouts have a time to live, so the
 * policies `volatile-*` evict them too.
 */
export function evictionIn(info: string): Eviction | undefined {
  const policy = fieldIn(info, 'maxmemory_policy');
  const maxMemoryBytes = Number(fieldIn(info, 'maxmemory') ?? 0);
  if (policy === undefined || policy === 'noeviction' || !(maxMemoryBytes > 0)) return undefined;
  return { policy, maxMemoryBytes };
}

/** A field of INFO's reply. */
export function fieldIn(info: string, name: string): string | undefined {
  return new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];
}
