import { readFileSync } from 'node:fs';

/** Linux 5.14 and later; `1` there also for IPv6. */
const TCP_MIGRATE_REQ = '/proc/sys/net/ipv4/tcp_migrate_req';

/**
 * What to tell whoever shares a port: whether the kernel resets connections that wait for a listener which is closed, or
 * hands them to another. Undefined when there is nothing to do, or nothing that could be done.
 */
export function acceptQueueAdvice(path = TCP_MIGRATE_REQ): string | undefined {
  try {
    if (readFileSync(path, 'utf8').trim() !== '0') return undefined;
  } catch {
    // Not Linux, or too old.
    return undefined;
  }
  return 'net.ipv4.tcp_migrate_req is 0: set it to 1, or a restart may reset connections that are just being opened';
}
