import { bracketed, portOf, type Registered } from './registry/registered.ts';

/**
 * What tells a replica from the others of its service: host and port, however often a registry changes its id. Where a
 * registry gives a host and, because nobody resolves that, a URL elsewhere, both count.
 */
export function replicaKey(host: string, url: URL): string {
  const listed = bracketed(host);
  const isThere = listed === url.hostname || URL.parse(`http://${listed}`)?.hostname === url.hostname;
  return isThere ? url.host : `${listed}@${url.host}`;
}

/**
 * What a newcomer is called in metrics and logs for as long as it is there: its host, with its port where another
 * replica of the service is called so already.
 */
export function instanceName(
  { key, url, registered }: { readonly key: string; readonly url: URL; readonly registered: Registered },
  taken: ReadonlySet<string>,
): string {
  const host = bracketed(registered.host);
  return [host, `${host}:${portOf(url)}`].find((name) => !taken.has(name)) ?? key;
}
