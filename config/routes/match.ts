import { z } from 'zod';
import { isAmbiguousPath } from '../../lib/http/ambiguousPath.ts';
import { parsePattern } from '../../lib/routing/pattern.ts';
import { host } from '../kinds/addresses.ts';
import { type Kind, kind } from '../kinds/kinds.ts';

/** A field that routes may go by: of the others the gateway itself, or the host, says more. */
const FIELD = { error: 'the name of a field in lower case, other than host' };
const fieldName = z.string(FIELD).regex(/^(?!host$)[a-z0-9!#$%&'*+.^_`|~-]+$/, FIELD);

const routePath: Kind<string> = kind(
  'a path such as /catalog/* or /admin/**',
  (given) => (whyNot(given) === undefined ? given : undefined),
  whyNot,
);

const hostPattern: Kind<string> = kind(
  'a host such as api.faf.example or *.faf.example, without a port',
  (given) => (host.schema.safeParse(given.replace(/^\*\./, '')).success ? given.toLowerCase() : undefined),
);

const NEVER_ASKED =
  'a path without dot segments, backslashes and control characters in any encoding: requests for one are refused';
const NOT_FORWARDED = { error: 'another method: the gateway refuses CONNECT and TRACE for every path' };
const METHODS = { error: 'a list of methods in upper case, such as [GET, POST]' };

/** Which requests a route is for. */
export const matchSchema = z.strictObject(
  {
    path: routePath.schema.describe(
      "Below the service's path: * is one segment, ** the rest, :name one segment.",
    ),
    methods: z
      .array(
        z
          .string(METHODS)
          .regex(/^[A-Z][A-Z-]*$/, METHODS)
          .regex(/^(?!(?:CONNECT|TRACE)$)/, NOT_FORWARDED),
        METHODS,
      )
      .min(1, METHODS)
      .optional()
      .describe('GET is HEAD, too. Default: all.'),
    host: hostPattern.schema
      .optional()
      .describe('api.faf.example, or *.faf.example for all below it. Default: any.'),
    headers: z
      .record(fieldName, z.string({ error: 'a text' }), { error: 'an object of fields and their values' })
      .optional()
      .describe('Fields that the request must have, each with its whole value.'),
    priority: z
      .int({ error: 'a whole number' })
      .optional()
      .describe('Decides between routes that are equal otherwise.'),
  },
  { error: 'an object with a path' },
);

/** What a path that is no pattern should be. */
function whyNot(path: string): string | undefined {
  try {
    parsePattern(path);
    return isAmbiguousPath(path) ? NEVER_ASKED : undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
