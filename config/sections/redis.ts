import type { Values } from '../variables.ts';

/** A server of Redis that the gateway connects to. */
export interface RedisNode {
  readonly name: string;
  /** `redis://user:password@host:6379/0` */
  readonly url: string;
}

/** The URL that results from the REDIS_* settings; undefined when they name no Redis, or several nodes. */
export function redisUrlOf(values: Values): string | undefined {
  const { useRedisSharding, redisUrl, redisHost, redisPort } = values;
  if (useRedisSharding) return undefined;
  const given = redisUrl ?? (redisHost === undefined ? undefined : urlAt(redisHost, redisPort));
  return given === undefined ? undefined : completed(given, values);
}

/** The nodes that keys are spread over; none without USE_REDIS_SHARDING. */
export function redisNodesOf(values: Values): readonly RedisNode[] {
  const { useRedisSharding, redisNodes = [] } = values;
  if (!useRedisSharding) return [];
  return redisNodes.map(({ name, host, port }) => ({ name, url: completed(urlAt(host, port), values) }));
}

/** Adds the database, user and password to a URL that has none. */
function completed(given: string, { redisDb, redisUsername, redisPassword }: Values): string {
  const url = new URL(given);
  if (!/\d/.test(url.pathname)) url.pathname = `/${redisDb}`;
  // The setters of URL leave a `%` as it is, so they need the encoded form.
  if (redisUsername !== undefined) url.username = encodeURIComponent(redisUsername);
  if (redisPassword !== undefined) url.password = encodeURIComponent(redisPassword);
  return url.href;
}

function urlAt(host: string, port: number): string {
  return `redis://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
