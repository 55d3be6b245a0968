import proxyaddr from 'proxy-addr';
import type { Settings } from '../../config/config.ts';
import { throttled } from '../logs/throttled.ts';
import type { Parts } from '../wiring/parts.ts';

/**
 * Addresses from which the internal port may be called: loopback, RFC 1918 and RFC 4193 (`uniquelocal`), link-local (RFC
 * 3927, RFC 4291) and the shared address space of carriers and clouds (RFC 6598).
 */
const PRIVATE = ['loopback', 'uniquelocal', 'linklocal', '100.64.0.0/10'];

/** Whether the peer at an address may connect. An undefined address, as of a peer that has left, may not. */
export type MayConnect = (address: string | undefined) => boolean;

/** Accepts private addresses, and those that `INTERNAL_ALLOW` lists. IPv4 addresses may be mapped into IPv6. */
export function isInternalPeer(allow: readonly string[]): MayConnect {
  const contains = proxyaddr.compile([...PRIVATE, ...allow]);
  // A link-local address includes its interface: fe80::1%eth0.
  return (address = '') => contains(address.replace(/%.*$/, ''), 0);
}

/**
 * The same, with refusals counted and logged. It judges the peer of the connection, not the caller: behind a proxy, or a port
 * that Docker publishes, everybody has the same private address. So this port must still never be published.
 */
export function internalPeers({
  settings,
  metrics,
  logger,
  clock,
}: Pick<Parts, 'settings' | 'metrics' | 'logger' | 'clock'>): MayConnect {
  const isInternal = isInternalPeer(settings.internalAllow);
  const log = throttled(clock, (peer: string) =>
    logger.warn(
      `Closed a connection to the internal port from ${peer}, which is no private address. If it is a service's, add ` +
        'it to INTERNAL_ALLOW; if not, keep this port from where it came',
      { peer },
    ),
  );
  return (address) => {
    if (isInternal(address)) return true;
    metrics.internalPeersRefused.count();
    if (address !== undefined) log(address);
    return false;
  };
}

/** The log line that says where the internal port listens and who may call it. */
export function internalPortNotice(
  { internalHost, internalAllow }: Pick<Settings, 'internalHost' | 'internalAllow'>,
  port: number,
): string {
  const everywhere = internalHost === '::' || internalHost === '0.0.0.0';
  const where = everywhere
    ? `every address of this machine (INTERNAL_HOST is ${internalHost})`
    : internalHost;
  const more = internalAllow.length > 0 ? `, and ${internalAllow.join(', ')} (INTERNAL_ALLOW)` : '';
  return (
    `Internal port ${port} asks for no token. It listens on ${where} and serves peers with loopback, private and ` +
    `link-local addresses${more}: publish it to nobody else`
  );
}
