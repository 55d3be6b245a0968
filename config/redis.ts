import type { Values } from './variables.ts';

/** The one URL that the REDIS_* settings amount to; undefined when they name no Redis. */
export function redisUrlOf(values: Values): string | undefined {
  const given = values.redisUrl ?? hostUrl(values);
  if (given === undefined) return undefined;
  const url = new URL(given);
  if (!/\d/.test(url.pathname)) url.pathname = `/${values.redisDb}`;
  // The setters of URL leave a `%` as it is, so they need the encoded form.
  if (values.redisUsername !== undefined) url.username = encodeURIComponent(values.redisUsername);
  if (values.redisPassword !== undefined) url.password = encodeURIComponent(values.redisPassword);
  return url.href;
}

function hostUrl({ redisHost, redisPort }: Values): string | undefined {
  if (redisHost === undefined) return undefined;
  const host = redisHost.includes(':') ? `[${redisHost}]` : redisHost;
  return `redis://${host}:${redisPort}`;
}
