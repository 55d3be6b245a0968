import { z } from 'zod';
import { kind } from '../../kinds/kinds.ts';
import { policy } from '../policy.ts';

/** Which replica gets a request. */
export type BalanceRule =
  /** The one with the least load. */
  | { readonly by: 'load' }
  /** The one that the client's cookie names. Undefined: a name that is made of the service's. */
  | { readonly by: 'cookie'; readonly cookie: string | undefined }
  | { readonly by: 'subject' }
  | { readonly by: 'address' }
  /** A field's name, in lower case. */
  | { readonly by: 'header'; readonly header: string };

export interface BalanceSettings {
  readonly balance: BalanceRule;
}

const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;
/** Browsers ask more of cookies that are named so (RFC 6265bis section 4.1.3) than a cookie for one path can keep. */
const PREFIXED = /^__/;

const sticky = kind<BalanceRule>(
  'cookie or cookie:<name>, with the name of a cookie that does not begin with __',
  (given) => {
    if (given === 'cookie') return { by: 'cookie', cookie: undefined };
    const name = given.startsWith('cookie:') ? given.slice('cookie:'.length) : '';
    return TOKEN.test(name) && !PREFIXED.test(name) ? { by: 'cookie', cookie: name } : undefined;
  },
);

const hash = kind<BalanceRule>('subject, address or header:<name>', (given) => {
  if (given === 'subject' || given === 'address') return { by: given };
  const name = given.startsWith('header:') ? given.slice('header:'.length) : '';
  return TOKEN.test(name) ? { by: 'header', header: name.toLowerCase() } : undefined;
});

const ONE = { error: 'least-load, { sticky: cookie } or { hash: subject | address | header:<name> }' };

export const balance = policy({
  schema: z
    .union(
      [
        z.literal('least-load').transform((): BalanceRule => ({ by: 'load' })),
        z
          .strictObject({
            sticky: sticky.schema
              .optional()
              .describe(
                'cookie: a client stays with its replica, by a signed cookie. cookie:<name> names that.',
              ),
            hash: hash.schema.optional().describe('What has one replica: subject, address or header:<name>.'),
          })
          .refine((said) => (said.sticky === undefined) !== (said.hash === undefined), ONE)
          .transform((said) => (said.sticky ?? said.hash) as BalanceRule),
      ],
      ONE,
    )
    .describe('Which replica gets a request. Default: least-load.'),
  settings: (said): BalanceSettings => ({ balance: said ?? { by: 'load' } }),
  inherit: (inner) => inner,
});

/** As a file has it: `sticky cookie:node`. */
export function balanceText(rule: BalanceRule): string {
  if (rule.by === 'load') return 'least-load';
  if (rule.by === 'cookie') return `sticky ${rule.cookie === undefined ? 'cookie' : `cookie:${rule.cookie}`}`;
  return `hash ${rule.by === 'header' ? `header:${rule.header}` : rule.by}`;
}
