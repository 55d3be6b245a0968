import proxyaddr from 'proxy-addr';
import type { Settings } from '../../config/config.ts';
import type { TrustsPeer } from '../../lib/proxy/request/forwarded.ts';
import { Transport } from '../../lib/proxy/transport.ts';

/** The connections to replicas. */
export function transportOf(settings: Settings): Transport {
  return new Transport({
    connectTimeoutMs: settings.requestTimeoutMs,
    maxHeadBytes: settings.maxResponseHeadBytes,
    idleMs: settings.upstreamKeepAliveMs,
    maxAgeMs: settings.upstreamConnectionAgeMs,
  });
}

/** Whose `X-Forwarded-For` and the like counts. */
export function trusts(proxies: readonly string[]): TrustsPeer {
  if (proxies.length === 0) return () => false;
  const compiled = proxyaddr.compile([...proxies]);
  return (address) => compiled(address, 0);
}
