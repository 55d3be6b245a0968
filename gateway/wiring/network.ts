import proxyaddr from 'proxy-addr';
import type { Settings } from '../../config/config.ts';
import type { TrustsPeer } from '../../lib/proxy/request/forwarded.ts';
import type { TransportOptions } from '../../lib/proxy/transport.ts';

/** What holds for the connections to all replicas. */
export function transportOptions(settings: Settings): TransportOptions {
  return {
    connectTimeoutMs: settings.requestTimeoutMs,
    maxHeadBytes: settings.maxResponseHeadBytes,
    idleMs: settings.upstreamKeepAliveMs,
    maxAgeMs: settings.upstreamConnectionAgeMs,
  };
}

/** Whose `X-Forwarded-For` and the like counts. */
export function trusts(proxies: readonly string[]): TrustsPeer {
  if (proxies.length === 0) return () => false;
  const compiled = proxyaddr.compile([...proxies]);
  return (address) => compiled(address, 0);
}
