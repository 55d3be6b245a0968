import { bracketed, portOf, type Registered, registeredAt } from './registry/registered.ts';

/** Who a replica is. */
export interface ReplicaIdentity {
  /** What tells it from the others of its service: host and port. */
  readonly key: string;
  /** What metrics and logs call it. */
  readonly id: string;
  /** Scheme, host and port. */
  readonly url: URL;
  /** What a registry knows it by. */
  readonly registered: Registered;
  /** Whether a registry lists it, or only the settings do. */
  readonly listed: boolean;
}

/**
 * What tells a replica from the others of its service: host and port, however often a registry changes its id. When a
 * registry gives a host that nobody can resolve and therefore also a URL elsewhere, both count.
 */
export function replicaKey(host: string, url: URL): string {
  const listed = bracketed(host);
  const isThere = listed === url.hostname || URL.parse(`http://${listed}`)?.hostname === url.hostname;
  return isThere ? url.host : `${listed}@${url.host}`;
}

/**
 * The name of a new replica in metrics and logs for as long as it is listed: its host, with its port if another replica
 * of the service has that name already.
 */
export function instanceName(
  { key, url, registered }: { readonly key: string; readonly url: URL; readonly registered: Registered },
  taken: ReadonlySet<string>,
): string {
  const host = bracketed(registered.host);
  return [host, `${host}:${portOf(url)}`].find((name) => !taken.has(name)) ?? key;
}

/** Who a replica is that only the settings list. Its name is added to those that are `taken`. */
export function identityAt(origin: string, taken: Set<string>): ReplicaIdentity {
  const url = new URL(origin);
  const known = { key: url.host, url, registered: registeredAt(url), listed: false };
  const id = instanceName(known, taken);
  taken.add(id);
  return { ...known, id };
}
