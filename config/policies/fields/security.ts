import { z } from 'zod';
import type { SecurityRules } from '../../../lib/headers/security.ts';
import { isFieldValue } from '../../../lib/http1/grammar.ts';
import { longDurationOrZero } from '../../kinds/kinds.ts';
import { FLAG, policy, textOrNumber } from '../policy.ts';

export interface SecuritySettings {
  /** What browsers are told for the safety of responses; undefined: what the service itself says. */
  readonly security: SecurityRules | undefined;
}

const YEAR_SECONDS = 365 * 24 * 60 * 60;
const REFERRER_POLICIES = [
  'no-referrer',
  'no-referrer-when-downgrade',
  'origin',
  'origin-when-cross-origin',
  'same-origin',
  'strict-origin',
  'strict-origin-when-cross-origin',
  'unsafe-url',
] as const;

const OFF = z.union([z.literal('off'), z.literal(false)]);

function orOff<Schema extends z.ZodType>(schema: Schema, error: string) {
  return z.union([OFF, schema], { error }).optional();
}

const LINE = 'off, or a text of one line in ASCII';
const line = z
  .string(LINE)
  .refine((text) => text.trim() !== '' && isFieldValue(text) && !/[^\x20-\x7e]/.test(text), LINE);
const HSTS = 'off, true, or an object such as { maxAge: 365d, includeSubDomains: true }';

const hsts = z
  .union(
    [
      OFF,
      z.literal(true),
      z.strictObject({
        maxAge: textOrNumber(longDurationOrZero).optional().describe('Default: 365d.'),
        includeSubDomains: z
          .boolean(FLAG)
          .optional()
          .describe('Whether it is for names below as well. Default: false.'),
        preload: z.boolean(FLAG).optional().describe('Whether browsers may ship with it. Default: false.'),
      }),
    ],
    { error: HSTS },
  )
  .optional()
  .describe('Strict-Transport-Security, in responses over TLS only. Default: 365d.');

export const security = policy({
  schema: z
    .union(
      [
        OFF,
        z.literal(true),
        z.strictObject({
          hsts,
          nosniff: orOff(z.literal(true), 'true or off').describe(
            'X-Content-Type-Options: nosniff. Default: true.',
          ),
          frame: orOff(z.enum(['deny', 'sameorigin']), 'deny, sameorigin or off').describe(
            'X-Frame-Options: who may show responses in a frame. Default: deny.',
          ),
          referrerPolicy: orOff(z.enum(REFERRER_POLICIES), `${REFERRER_POLICIES.join(', ')} or off`).describe(
            'Referrer-Policy. Default: strict-origin-when-cross-origin.',
          ),
          csp: orOff(line, LINE).describe("Content-Security-Policy: default-src 'none'. Default: off."),
          permissionsPolicy: orOff(line, LINE).describe('Permissions-Policy: camera=(). Default: off.'),
        }),
      ],
      { error: 'off, true or an object' },
    )
    .describe(
      'What browsers are told for the safety of responses, where the service does not say it itself.',
    ),
  settings: (said): SecuritySettings => {
    if (said === undefined || said === 'off' || said === false) return { security: undefined };
    const own = said === true ? {} : said;
    return {
      security: {
        hsts: hstsOf(own.hsts),
        nosniff: own.nosniff === undefined || own.nosniff === true,
        frame: frameOf(own.frame),
        referrerPolicy: textOf(own.referrerPolicy, 'strict-origin-when-cross-origin'),
        csp: textOf(own.csp, undefined),
        permissionsPolicy: textOf(own.permissionsPolicy, undefined),
      },
    };
  },
  tightens: ({ security: own }, { security: outer }) =>
    own !== undefined &&
    Object.entries(own).some(
      ([name, value]) =>
        value !== undefined && value !== false && value !== outer?.[name as keyof SecurityRules],
    ),
  problem: (said) => {
    if (typeof said !== 'object' || typeof said.hsts !== 'object' || !said.hsts.preload) return undefined;
    const { includeSubDomains, maxAge } = said.hsts;
    const isLong = maxAge === undefined || maxAge / 1000 >= YEAR_SECONDS;
    return includeSubDomains && isLong
      ? undefined
      : {
          at: ['hsts', 'preload'],
          text: 'is true: expected includeSubDomains: true and a maxAge of 365d or more beside it, which browsers ask for',
        };
  },
});

type Off = z.output<typeof OFF>;

function hstsOf(said: z.output<typeof hsts>): string | undefined {
  if (said === 'off' || said === false) return undefined;
  const { maxAge, includeSubDomains, preload } = typeof said === 'object' ? said : {};
  const maxAgeSeconds = maxAge === undefined ? YEAR_SECONDS : Math.floor(maxAge / 1000);
  return `max-age=${maxAgeSeconds}${includeSubDomains ? '; includeSubDomains' : ''}${preload ? '; preload' : ''}`;
}

function frameOf(said: 'deny' | 'sameorigin' | Off | undefined): SecurityRules['frame'] {
  const frame = textOf(said, 'deny');
  return frame === undefined ? undefined : frame === 'deny' ? 'DENY' : 'SAMEORIGIN';
}

function textOf<Default extends string | undefined>(
  said: string | Off | undefined,
  other: Default,
): string | Default | undefined {
  if (said === undefined) return other;
  return said === 'off' || said === false ? undefined : said;
}
