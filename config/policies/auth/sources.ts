import { z } from 'zod';
import { sourceText, type TokenSource } from '../../../lib/auth/sources/source.ts';
import { type Kind, kind } from '../../kinds/kinds.ts';
import { nearest } from './words.ts';

const ACCEPTED = 'bearer, cookie:<name> or query:<name>';
const KINDS = ['bearer', 'cookie', 'query'];

/** A token (RFC 9110 section 5.6.2), as names of cookies are. */
const COOKIE_NAME = /^[\w!#$%&'*+.^`|~-]+$/;
/** What no client percent-encodes (RFC 3986 section 2.3): the name is looked for in every other spelling as well. */
const QUERY_NAME = /^[\w.~-]+$/;

const source: Kind<TokenSource> = kind(ACCEPTED, readSource, (text) => {
  const from = text.split(':', 1)[0] ?? '';
  const meant = nearest(from, KINDS);
  if (meant === undefined) return undefined;
  if (meant !== from) return `${ACCEPTED}; did you mean ${meant + text.slice(from.length)}?`;
  return from === 'cookie'
    ? 'cookie:<name>, with the name of a cookie'
    : from === 'query'
      ? 'query:<name>, with a name of letters, digits and _.~-'
      : ACCEPTED;
});

const LIST = { error: `a list of ${ACCEPTED}, at least one` };

export const sourcesSchema = z
  .array(source.schema, LIST)
  .min(1, LIST)
  .refine((sources) => new Set(sources.map(sourceText)).size === sources.length, {
    error: 'each source once',
  })
  .describe(
    'Where a token may be, in order: bearer, cookie:<name>, query:<name>. The first with anything counts.',
  );

function readSource(text: string): TokenSource | undefined {
  if (text === 'bearer') return { from: 'bearer' };
  const [from = '', ...rest] = text.split(':');
  const name = rest.join(':');
  if (from === 'cookie' && COOKIE_NAME.test(name)) return { from, name };
  if (from === 'query' && QUERY_NAME.test(name)) return { from, name };
  return undefined;
}
