/** How a Redis makes room when its memory is full, where what falls to it may be a revocation. */
export interface Eviction {
  /** `maxmemory-policy`, such as `allkeys-lru`. */
  readonly policy: string;
  /** `maxmemory`, in bytes. */
  readonly maxMemoryBytes: number;
  /** Which of several servers. */
  readonly node?: string | undefined;
}

/** Nothing is evicted without a bound, nor with `noeviction`; logouts have a time to live, so `volatile-*` takes them, too. */
export function evictionIn(info: string): Eviction | undefined {
  const policy = fieldIn(info, 'maxmemory_policy');
  const maxMemoryBytes = Number(fieldIn(info, 'maxmemory') ?? 0);
  if (policy === undefined || policy === 'noeviction' || !(maxMemoryBytes > 0)) return undefined;
  return { policy, maxMemoryBytes };
}

/** A field of what INFO says. */
export function fieldIn(info: string, name: string): string | undefined {
  return new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];
}
