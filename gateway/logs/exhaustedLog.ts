import type { Clock } from '../../lib/clock/clock.ts';
import type { Logger } from '../../lib/logging/logger.ts';
import { throttled } from './throttled.ts';

const DESCRIPTORS =
  'raise the limit of open files: `ulimit -n`, LimitNOFILE of systemd, `ulimits` of Compose';
const ADVICE: Readonly<Record<string, string>> = {
  EMFILE: DESCRIPTORS,
  ENFILE: 'the whole system is at its limit of open files: raise fs.file-max',
  EADDRNOTAVAIL:
    'no local port is left: widen net.ipv4.ip_local_port_range, or let replicas keep connections open',
  ENOBUFS: 'the system has no memory left for sockets: give it more, or lower MAX_CONNECTIONS',
};

/** Logs what the gateway has run out of and what to do about it, at most once in ten seconds. */
export function exhaustedLog(logger: Logger, clock: Clock): (error: Error) => void {
  return throttled(clock, (error) => {
    const code = Error.isError(error.cause) && 'code' in error.cause ? String(error.cause.code) : '';
    logger.error(`Out of sockets: ${ADVICE[code] ?? DESCRIPTORS}`, { error });
  });
}
