import { z } from 'zod';
import type { CorsRules } from '../../../lib/cors/cors.ts';
import { ANY_ORIGIN } from '../../../lib/cors/origins.ts';
import { durationOrZero } from '../../kinds/kinds.ts';
import { pageOrigin } from '../../kinds/origins.ts';
import { FLAG, offOr, policy, textOrNumber } from '../policy.ts';

/** Methods that pages may use unless others are named. */
const METHODS: readonly string[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];
const MAX_AGE_SECONDS = 10 * 60;

export interface CorsSettings {
  /** What pages of other origins may do; undefined: what the service itself says. */
  readonly cors: CorsRules | undefined;
}

const ORIGINS = { error: 'a list of origins such as [https://app.faf.example], or "*"' };
const METHOD_LIST = { error: 'a list of methods in upper case, such as [GET, POST]' };
const NAMES = { error: 'a list of field names, such as [Content-Type]' };

function names(pattern: RegExp, error: string) {
  return z.array(z.string({ error }).regex(pattern, { error }), NAMES).optional();
}

export const cors = policy({
  schema: offOr({
    origins: z
      .union([z.literal(ANY_ORIGIN), z.array(pageOrigin, ORIGINS).min(1, ORIGINS)], ORIGINS)
      .optional()
      .describe(
        'Whose pages may read responses: https://app.faf.example, https://*.faf.example, or "*" for all.',
      ),
    credentials: z
      .boolean(FLAG)
      .optional()
      .describe('Whether their browsers may send cookies along. Default: false.'),
    methods: z
      .array(z.string(METHOD_LIST).regex(/^[A-Z][A-Z-]*$/, METHOD_LIST), METHOD_LIST)
      .min(1, METHOD_LIST)
      .optional()
      .describe(`Methods that they may use. Default: ${METHODS.join(', ')}.`),
    allowHeaders: names(
      /^(?!\*$)[\w!#$%&'*+.^`|~-]+$/,
      'the name of a field; without allowHeaders all are allowed',
    ).describe('Fields that their requests may have. Default: all.'),
    exposeHeaders: names(/^[\w!#$%&'*+.^`|~-]+$/, 'the name of a field').describe(
      "Fields of the service's responses that they may read.",
    ),
    maxAge: textOrNumber(durationOrZero)
      .optional()
      .describe('For how long browsers may remember what is allowed. Default: 10m.'),
  }).describe('Which pages of other origins browsers let read responses (CORS).'),
  settings: (said): CorsSettings => {
    if (said === undefined || said === 'off' || said === false) return { cors: undefined };
    const {
      origins,
      credentials = false,
      methods = METHODS,
      allowHeaders,
      exposeHeaders = [],
      maxAge,
    } = said;
    if (origins === undefined) return { cors: undefined };
    const maxAgeSeconds = maxAge === undefined ? MAX_AGE_SECONDS : Math.floor(maxAge / 1000);
    const list = origins === ANY_ORIGIN ? [ANY_ORIGIN] : origins;
    return { cors: { origins: list, credentials, methods, allowHeaders, exposeHeaders, maxAgeSeconds } };
  },
  problem: (said, isWhole) => {
    if (said === 'off' || said === false) return undefined;
    const { origins, credentials, exposeHeaders = [] } = said;
    if (origins === undefined)
      return isWhole ? { at: [], text: 'has no origins: expected origins, here or further out' } : undefined;
    if (!credentials) return undefined;
    if (origins.includes(ANY_ORIGIN))
      return {
        at: ['credentials'],
        text: 'is true with the origin "*": expected origins by name, since any page could then act as the user',
      };
    return exposeHeaders.includes('*')
      ? {
          at: ['exposeHeaders'],
          text: 'has "*": expected the names, since with credentials browsers take it for a name',
        }
      : undefined;
  },
  tightens: ({ cors: own }, { cors: outer }) => outer !== undefined && !allowsAllOf(own, outer),
});

/** Whether pages may do whatever they may by `outer`. */
function allowsAllOf(own: CorsRules | undefined, outer: CorsRules): boolean {
  if (own === undefined || (outer.credentials && !own.credentials)) return false;
  const isOpen = own.origins.includes(ANY_ORIGIN);
  return (
    (isOpen || holds(own.origins, outer.origins)) &&
    holds(own.methods, outer.methods) &&
    (own.allowHeaders === undefined ||
      (outer.allowHeaders !== undefined && holds(own.allowHeaders, outer.allowHeaders)))
  );
}

function holds(list: readonly string[], items: readonly string[]): boolean {
  return items.every((item) => list.includes(item));
}
