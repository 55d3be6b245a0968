/** What tells stored answers apart. The identity is part of the type: no key can be made without it. */
export interface CacheKeyParts {
  /** Path prefix of the service. */
  readonly service: string;
  /** Subject of the verified token; `undefined` for a request that needs none. */
  readonly identity: string | undefined;
  /** The request target, path and query, byte for byte. */
  readonly target: string;
}

/**
 * `cache:<service>:<identity>:<target>`. The encoded identity holds no colon and is never empty for a caller who
 * is known, so two callers cannot share a key whatever their subjects are.
 */
export function cacheKey({ service, identity, target }: CacheKeyParts): string {
  const caller = identity === undefined ? '' : `sub=${encodeURIComponent(identity)}`;
  return `cache:${service}:${caller}:${target}`;
}
