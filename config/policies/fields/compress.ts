import { z } from 'zod';
import {
  CODINGS,
  type Coding,
  DEFAULT_LEVELS,
  LEVEL_RANGES,
  type Levels,
} from '../../../lib/compression/codings.ts';
import { type CompressionRules, DEFAULT_FLOOR_BYTES } from '../../../lib/compression/middleware.ts';
import { bytes } from '../../kinds/kinds.ts';
import { policy, textOrNumber } from '../policy.ts';

/** All that `CompressionRules` leave open is said. */
export interface CompressRules extends CompressionRules {
  readonly codings: readonly Coding[];
  readonly levels: Levels;
  readonly floorBytes: number;
}

export interface CompressSettings {
  /** How responses are compressed; undefined: they are not. */
  readonly compress: CompressRules | undefined;
}

const KINDS = { error: `a list of ${CODINGS.join(', ')}, each once` };
const TYPES = { error: 'a list of media types such as [application/json, text/*]' };
const SWITCH = { error: 'on, off, true, false or an object' };

function level(coding: (typeof CODINGS)[number]) {
  const [least, most] = LEVEL_RANGES[coding];
  const error = { error: `a whole number from ${least} to ${most}` };
  return z
    .int(error)
    .min(least, error)
    .max(most, error)
    .optional()
    .describe(`From ${least} to ${most}. Default: ${DEFAULT_LEVELS[coding]}.`);
}

export const compress = policy({
  schema: z
    .union(
      [
        z.literal('off'),
        z.literal(false),
        // Short for an object that says nothing, so that what is said further out is still inherited.
        z.literal(['on', true]).transform((): Said => ({})),
        z.strictObject({
          codings: z
            .array(z.enum(CODINGS, KINDS), KINDS)
            .min(1, KINDS)
            .refine((codings) => new Set(codings).size === codings.length, KINDS)
            .optional()
            .describe(
              `What clients may get; of what a client likes equally, the first. Default: ${CODINGS.join(', ')}.`,
            ),
          level: z
            .strictObject(
              { zstd: level('zstd'), br: level('br'), gzip: level('gzip') },
              { error: 'an object such as { gzip: 6 }' },
            )
            .optional()
            .describe('How much work goes into each.'),
          floor: textOrNumber(bytes(0))
            .optional()
            .describe('Responses that say they are shorter are sent as they are. Default: 1KiB.'),
          types: z
            .array(z.string(TYPES).regex(/^[\w!#$&^.+-]+\/(?:\*|[\w!#$&^.+-]+)$/, TYPES), TYPES)
            .min(1, TYPES)
            .optional()
            .describe('Which are compressed: application/json, text/*. Default: all that get shorter.'),
        }),
      ],
      SWITCH,
    )
    .describe(
      'Compression of responses. Never where a response holds a secret beside what its sender chose (BREACH). Default: off.',
    ),
  settings: (said): CompressSettings => {
    if (said === undefined || said === 'off' || said === false) return { compress: undefined };
    const { codings = CODINGS, floor = DEFAULT_FLOOR_BYTES, types } = said;
    return {
      compress: {
        codings,
        levels: { ...DEFAULT_LEVELS, ...said.level },
        floorBytes: floor,
        types: types?.map((type) => type.toLowerCase()),
      },
    };
  },
  // Where it is off for the sake of a secret, no other way to write the path may turn it on.
  tightens: ({ compress: own }, { compress: outer }) => own === undefined && outer !== undefined,
});

interface Said {
  readonly codings?: (typeof CODINGS)[number][] | undefined;
  readonly level?: Partial<Levels> | undefined;
  readonly floor?: number | undefined;
  readonly types?: string[] | undefined;
}

/** What is shown of it where a few words must do. */
export function compressText({ compress: rules }: CompressSettings): string {
  return rules === undefined ? 'off' : rules.codings.join(' ');
}
