import type { Settings } from '../../config/config.ts';
import type { Clock } from '../../lib/clock/clock.ts';
import { CodedContents } from '../../lib/compression/codedContents.ts';
import { CoderLimit } from '../../lib/compression/coderLimit.ts';
import type { Logger } from '../../lib/logging/logger.ts';
import { throttled } from '../logs/throttled.ts';

/** What the compression of all routes has in common, in this thread. */
export interface Coding {
  readonly limit: CoderLimit;
  /** Coded copies of stored responses. */
  readonly copies: CodedContents;
  /** Logs that a response could not be coded, at most once in ten seconds. */
  readonly logFailure: (error: Error) => void;
}

interface CodingOptions {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly clock: Clock;
}

export function codingOf({ settings, logger, clock }: CodingOptions): Coding {
  const { compressionCoders, workers, memory } = settings;
  const limit = new CoderLimit({ most: Math.ceil(compressionCoders / workers) });
  return {
    limit,
    copies: new CodedContents({ maxBytes: memory.rememberedBytes / 2, limit }),
    logFailure: throttled(clock, (error) => logger.error('A response could not be compressed', { error })),
  };
}
