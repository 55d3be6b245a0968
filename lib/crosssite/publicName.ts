/** Last labels that no public name ends with: reserved (RFC 6761, RFC 6762, ICANN's `internal`) or never delegated. */
const PRIVATE_SUFFIXES: ReadonlySet<string> = new Set([
  'localhost',
  'local',
  'internal',
  'test',
  'svc',
  'home',
  'corp',
  'lan',
]);

/**
 * Whether a `Host` may be a name of the public DNS, which its owner can point at any address. Not so are addresses,
 * names without a dot (`api-gateway`), Kubernetes' (`gateway.faf.svc.cluster.local`), and names that end with something
 * that cannot be a top-level domain, such as Swarm's `tasks.api-gateway`: those are letters alone, or begin with `xn--`.
 */
export function isPublicName(host: string): boolean {
  const name = nameOf(host);
  const dot = name.lastIndexOf('.');
  if (dot === -1 || name.startsWith('[')) return false;
  const last = name.slice(dot + 1);
  return /^(?:[a-z]+|xn--[a-z0-9-]+)$/.test(last) && !PRIVATE_SUFFIXES.has(last);
}

/** A `Host` in lower case, without its port and without the dot of an absolute name. */
export function nameOf(host: string): string {
  return host.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();
}
