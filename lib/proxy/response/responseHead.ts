import type { ResponseSink } from '../../response/sink.ts';
import { UpstreamBadResponseError } from '../errors.ts';

/**
 * Begins the response with what the service has sent. Throws `UpstreamBadResponseError` where that cannot be passed on;
 * nothing of it is kept then.
 */
export function beginResponse(sink: ResponseSink, status: number, reason: string, fields: string[]): void {
  try {
    sink.head(status, reason, fields);
  } catch (cause) {
    throw new UpstreamBadResponseError(`status ${status} or a field of it cannot be passed on`, { cause });
  }
}
