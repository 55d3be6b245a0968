/** Last labels of names that are never public: reserved (RFC 6761, RFC 6762, ICANN's `internal`) or never delegated. */
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
 * Whether a `Host` may be a name of the public DNS, which its owner can point to any address. That is not the case for
 * addresses, names without a dot (`api-gateway`), names of Kubernetes (`gateway.faf.svc.cluster.local`), and names whose last
 * label cannot be a top-level domain, as in Swarm's `tasks.api-gateway`: those have only letters, or begin with `xn--`.
 */
export function isPublicName(host: string): boolean {
  const name = nameOf(host);
  const dot = name.lastIndexOf('.');
  if (dot === -1 || name.startsWith('[')) return false;
  const last = name.slice(dot + 1);
  return /^(?:[a-z]+|xn--[a-z0-9-]+)$/.test(last) && !PRIVATE_SUFFIXES.has(last);
}

/** The name in a `Host`: in lower case, without port and without the final dot of an absolute name. */
export function nameOf(host: string): string {
  return host.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase();
}
