import { z } from 'zod';
import { API_KEY_FIELD, sourceText, type TokenSource } from '../../../lib/auth/sources/source.ts';
import { type Kind, kind } from '../../kinds/kinds.ts';
import { ownedInRequests } from '../fields/gatewayFields.ts';
import { nearest } from './words.ts';

const ACCEPTED = 'bearer, cookie:<name>, query:<name>, apiKey or apiKey:<field>';
const KINDS = ['bearer', 'cookie', 'query', 'apiKey'];

/** A token (RFC 9110 section 5.6.2), as names of cookies are. */
const COOKIE_NAME = /^[\w!#$%&'*+.^`|~-]+$/;
/** What no client percent-encodes (RFC 3986 section 2.3): the name is looked for in every other spelling as well. */
const QUERY_NAME = /^[\w.~-]+$/;

/** What is accepted behind each kind that takes a name. */
const FORMS: Readonly<Record<string, string>> = {
  cookie: 'cookie:<name>, with the name of a cookie',
  query: 'query:<name>, with a name of letters, digits and _.~-',
  apiKey:
    'apiKey, or apiKey:<field> with a field of letters, digits and - that means nothing else to HTTP or the gateway',
};

/** Users' fields with other punctuation never reach a service, so one for keys would differ from all others. */
const FIELD_NAME = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;

const source: Kind<TokenSource> = kind(ACCEPTED, readSource, (text) => {
  const from = text.split(':', 1)[0] ?? '';
  const meant = nearest(from, KINDS);
  if (meant === undefined) return undefined;
  if (meant !== from) return `${ACCEPTED}; did you mean ${meant + text.slice(from.length)}?`;
  return FORMS[meant] ?? ACCEPTED;
});

const LIST = { error: `a list of ${ACCEPTED}, at least one` };

export const sourcesSchema = z
  .array(source.schema, LIST)
  .min(1, LIST)
  .refine((sources) => new Set(sources.map(sourceText)).size === sources.length, {
    error: 'each source once',
  })
  .describe(
    'Where a token may be, in order: bearer, cookie:<name>, query:<name>. The first with anything counts. Or an API key: apiKey (X-Api-Key), apiKey:<field>.',
  );

function readSource(text: string): TokenSource | undefined {
  if (text === 'bearer') return { from: 'bearer' };
  const [from = '', ...rest] = text.split(':');
  const name = rest.join(':');
  if (from === 'cookie' && COOKIE_NAME.test(name)) return { from, name };
  if (from === 'query' && QUERY_NAME.test(name)) return { from, name };
  if (from === 'apiKey') return keySource(rest.length === 0 ? API_KEY_FIELD : name.toLowerCase());
  return undefined;
}

/** Fields that others read, which would find the key there, or nothing any more. */
const OF_OTHERS =
  /^(?:accept|access-control|content|if|sec)-|^(?:accept|authorization|cache-control|cookie|date|from|max-forwards|origin|pragma|prefer|priority|range|referer|user-agent)$/;

function ofOthers(name: string): boolean {
  return OF_OTHERS.test(name) || ownedInRequests(name) !== undefined;
}

function keySource(name: string): TokenSource | undefined {
  return FIELD_NAME.test(name) && !ofOthers(name) ? { from: 'apiKey', name } : undefined;
}
