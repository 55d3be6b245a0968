import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';
import { NotConnectedError } from '../http1/errors.ts';

/** What a connection needs and we lack: descriptors of the process or of the system, ports, memory for sockets. */
const SHORTAGES: ReadonlySet<unknown> = new Set(['EMFILE', 'ENFILE', 'EADDRNOTAVAIL', 'ENOBUFS']);

/** Whether a connection failed for want of something that this process or machine lacks. */
export function isOurShortage(error: Error): boolean {
  const cause = error instanceof NotConnectedError ? error.cause : error;
  if (!Error.isError(cause) || !('code' in cause)) return false;
  if (SHORTAGES.has(cause.code)) return true;
  // To look up a name takes descriptors as well, and the C library does not tell when it got none.
  return (
    'syscall' in cause && cause.syscall === 'getaddrinfo' && (cause.code === 'EBUSY' || lacksDescriptors())
  );
}

function lacksDescriptors(): boolean {
  try {
    closeSync(openSync(devNull, 'r'));
    return false;
  } catch (error) {
    return Error.isError(error) && 'code' in error && SHORTAGES.has(error.code);
  }
}
