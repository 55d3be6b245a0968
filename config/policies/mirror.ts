import { z } from 'zod';
import { formatBytes } from '../kinds/bytes.ts';
import { bytesBetween, duration } from '../kinds/kinds.ts';
import { policy, textOrNumber } from './policy.ts';

/** What is copied, and to whom. */
export interface MirrorTerms {
  /** Name of the service that gets the copies. */
  readonly service: string;
  /** Which part of the requests, 0 to 100. */
  readonly percent: number;
  /** Undefined: requests of all methods. `GET` stands for `HEAD`, too. */
  readonly methods: readonly string[] | undefined;
  /** Requests with more content are not copied, in bytes. */
  readonly maxBodyBytes: number;
  /** Longest time until the response to a copy is complete, in milliseconds; undefined: the service's own request timeout. */
  readonly timeoutMs: number | undefined;
}

export interface MirrorSettings {
  /** Undefined: nothing is copied. */
  readonly mirror: MirrorTerms | undefined;
}

const DEFAULT_BODY_BYTES = 64 * 1024;
const PERCENT = { error: 'a number from 0 to 100' };
const METHODS = { error: 'a list of methods in upper case, such as [GET]' };

export const mirror = policy({
  schema: z
    .union(
      [
        z.literal('off'),
        z.literal(false),
        z.strictObject({
          service: z
            .string({ error: 'the name of a service' })
            .optional()
            .describe('Which service gets the copies. Its responses are dropped.'),
          percent: z
            .number(PERCENT)
            .min(0, PERCENT)
            .max(100, PERCENT)
            .optional()
            .describe('Which part of the requests, each drawn by itself. Default: 100.'),
          methods: z
            .array(z.string(METHODS).regex(/^[A-Z][A-Z-]*$/, METHODS), METHODS)
            .min(1, METHODS)
            .optional()
            .describe('Requests of which methods; GET is HEAD, too. Default: all.'),
          body: textOrNumber(bytesBetween('0', '1MiB'))
            .optional()
            .describe(
              `Requests with more content are not copied. Default: ${formatBytes(DEFAULT_BODY_BYTES)}.`,
            ),
          timeout: duration.schema
            .optional()
            .describe('How long a copy may take. Default: timeouts.request of the service that gets it.'),
        }),
      ],
      { error: 'off or an object such as { service: checkin-v2, percent: 5 }' },
    )
    .describe('Copies requests to another service as well.'),
  settings: (said): MirrorSettings => {
    if (typeof said !== 'object' || said.service === undefined) return { mirror: undefined };
    const { service, percent = 100, methods, body = DEFAULT_BODY_BYTES, timeout } = said;
    return { mirror: { service, percent, methods, maxBodyBytes: body, timeoutMs: timeout } };
  },
  problem: (said) =>
    typeof said === 'object' && said.service === undefined
      ? { at: ['service'], text: 'is missing: expected the name of a service' }
      : undefined,
});

/** `5 % to checkin-v2`. */
export function mirrorText({ mirror: terms }: MirrorSettings): string {
  return terms ? `${terms.percent} % to ${terms.service}` : 'off';
}
