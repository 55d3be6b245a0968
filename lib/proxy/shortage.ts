import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';
import { NotConnectedError } from '../http1/errors.ts';

/** Errors that mean a lack of descriptors (of the process or the system), of ports, or of memory for sockets. */
const SHORTAGES: ReadonlySet<unknown> = new Set(['EMFILE', 'ENFILE', 'EADDRNOTAVAIL', 'ENOBUFS']);

/** Whether a connection failed because this process or machine has run out of what it needs. */
export function isOurShortage(error: Error): boolean {
  const cause = error instanceof NotConnectedError ? error.cause : error;
  if (!Error.isError(cause) || !('code' in cause)) return false;
  if (SHORTAGES.has(cause.code)) return true;
  // Resolving a name needs descriptors too, and the C library's error does not say so: a try shows whether there are
  // any.
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
