import { readFileSync } from 'node:fs';

/** Exists on Linux 5.14 and later. `1` applies to IPv6 too. */
const TCP_MIGRATE_REQ = '/proc/sys/net/ipv4/tcp_migrate_req';

/**
 * Advice for ports that several processes share, when the kernel resets the connections that wait for a closed listener
 * instead of handing them to another one. Undefined when nothing needs to be changed, or nothing can be.
 */
export function acceptQueueAdvice(path = TCP_MIGRATE_REQ): string | undefined {
  try {
    if (readFileSync(path, 'utf8').trim() !== '0') return undefined;
  } catch {
    // The system is not Linux, or too old.
    return undefined;
  }
  return 'net.ipv4.tcp_migrate_req is 0: set it to 1, or a restart may reset connections that are just being opened';
}
