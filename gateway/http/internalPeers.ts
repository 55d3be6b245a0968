import proxyaddr from 'proxy-addr';
import type { Settings } from '../../config/config.ts';
import { throttled } from '../logs/throttled.ts';
import type { Parts } from '../wiring/parts.ts';

/**
 * Peers of the internal port that may be services wherever it is reachable from: loopback, RFC 1918 and RFC 4193
 * (`uniquelocal`), link-local (RFC 3927, RFC 4291) and the shared space of carriers and clouds (RFC 6598).
 */
const PRIVATE = ['loopback', 'uniquelocal', 'linklocal', '100.64.0.0/10'];

/** Whether the peer at an address may connect; undefined, as of a peer that has left, never. */
export type MayConnect = (address: string | undefined) => boolean;

/** Private peers, and those that `INTERNAL_ALLOW` lists. IPv4 addresses may be mapped into IPv6. */
export function isInternalPeer(allow: readonly string[]): MayConnect {
  const contains = proxyaddr.compile([...PRIVATE, ...allow]);
  // A link-local address comes with its interface: fe80::1%eth0.
  return (address = '') => contains(address.replace(/%.*$/, ''), 0);
}

/**
 * The same, counted and logged. It says who the peer is and not who the caller is: behind a proxy, or a port that
 * Docker publishes, all the world is one private peer. So it takes nothing from the rule that nobody publishes this port.
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

/** Where the internal port listens, and who may call it, as whoever starts the gateway should know. */
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
