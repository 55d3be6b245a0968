import type { Clock } from '../../lib/clock/clock.ts';
import type { Logger } from '../../lib/logging/logger.ts';
import type { MirrorResult } from '../../lib/mirror/middleware.ts';
import { throttled } from './throttled.ts';

/** What is wrong with the service that gets copies, or with how many it gets; of the others operators need not know. */
const TROUBLES: Readonly<Partial<Record<MirrorResult, string>>> = {
  failed: 'it gave no response',
  timeout: 'its response took too long',
  no_replica: 'it has no replica that takes requests',
  busy: 'too many copies are under way, so that this one was not sent',
};

/** To be called with what became of each copy, and the name of the service that was to get it. */
export type OnMirrorTrouble = (service: string, result: MirrorResult, error: Error | undefined) => void;

/** Logs trouble with copies, at most once in ten seconds for each service. */
export function mirrorLog(logger: Logger, clock: Clock): OnMirrorTrouble {
  const logs = new Map<string, (trouble: string, error: Error | undefined) => void>();
  return (service, result, error) => {
    const trouble = TROUBLES[result];
    if (trouble === undefined) return;
    const log = logs.get(service) ?? logFor(service, logger, clock);
    logs.set(service, log);
    log(trouble, error);
  };
}

function logFor(service: string, logger: Logger, clock: Clock) {
  const log = throttled<{ readonly trouble: string; readonly error: Error | undefined }>(
    clock,
    ({ trouble, error }) => {
      const message = `Mirror: a request was not copied to ${service} as it should, since ${trouble}`;
      logger.warn(message, error && { error });
    },
  );
  return (trouble: string, error: Error | undefined) => log({ trouble, error });
}
