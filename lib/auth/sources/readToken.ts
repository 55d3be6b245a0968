import type { IncomingMessage } from 'node:http';
import { type ApiKeyError, apiKeyError, keyChallenge } from '../../apikeys/errors.ts';
import { type TokenError, tokenError } from '../errors.ts';
import { type BesideFields, decoded, NO_FIELD, readBearerIfAny, readToken } from './bearer.ts';
import { type IsAllowedOrigin, originRefusal } from './origin.ts';
import { sourceText, type TokenSource } from './source.ts';

/** What a request brings as its token: the token, why it is none, or undefined where it brings nothing. */
export type TokenReader = (req: IncomingMessage, beside: BesideFields) => string | Error | undefined;

/** How the token of a request is found. */
export interface TokenReading {
  readonly read: TokenReader;
  /** The error for a request that brings nothing. */
  readonly missing: TokenError | ApiKeyError;
}

export interface TokenReadingOptions {
  /** Where a token may be, in order. Default: what `readToken` says. */
  readonly sources?: readonly TokenSource[] | undefined;
  /** Whose pages may make requests with a cookie that change something, beside the gateway's own. Default: nobody's. */
  readonly isAllowedOrigin?: IsAllowedOrigin | undefined;
}

/**
 * Reads tokens from `sources`, those for API keys left out, which `apiKeyReader` reads. The first source that has anything counts, whether that is a good token or not, and no other
 * is looked at: nobody can choose between two tokens by spoiling one. A source that has more than one is `token_invalid`.
 */
export function tokenReading({ sources, isAllowedOrigin }: Readonly<TokenReadingOptions> = {}): TokenReading {
  if (sources === undefined) return { read: readToken, missing: NO_FIELD };
  const readers = sources.flatMap((source) =>
    source.from === 'apiKey' ? [] : [readerOf(source, isAllowedOrigin)],
  );
  const [first] = readers;
  const read: TokenReader = (req, beside) => {
    for (const reader of readers) {
      const found = reader(req, beside);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return { read: readers.length === 1 && first ? first : read, missing: missingFrom(sources) };
}

/** Where only API keys are taken, one is missing; where tokens are as well, a token is, and the challenge names both. */
function missingFrom(sources: readonly TokenSource[]): TokenError | ApiKeyError {
  const places = sources.map(sourceText).join(', ');
  const field = sources.find((source) => source.from === 'apiKey')?.name;
  if (field === undefined) return tokenError('token_missing', `no token in ${places}`);
  if (sources.every(({ from }) => from === 'apiKey'))
    return apiKeyError('api_key_missing', `no API key in ${places}`, field);
  return tokenError('token_missing', `no token or API key in ${places}`, {
    alternative: keyChallenge(field),
  });
}

type TokenPlace = Exclude<TokenSource, { readonly from: 'apiKey' }>;

function readerOf(source: TokenPlace, isAllowedOrigin: IsAllowedOrigin | undefined): TokenReader {
  if (source.from === 'bearer') return readBearerIfAny;
  const text = sourceText(source);
  const several = tokenError('token_invalid', `more than one ${text}`);
  const empty = tokenError('token_missing', `the ${text} is empty`);

  const taken = ({ takenTokens = [] }: BesideFields): string | TokenError | undefined => {
    const values = takenTokens.filter(({ from, name }) => from === source.from && name === source.name);
    if (values.length === 0) return undefined;
    return values.length > 1 ? several : values[0]?.value || empty;
  };
  if (source.from === 'query') {
    return (_req, beside) => {
      const value = taken(beside);
      return typeof value === 'string' ? decoded(value) : value;
    };
  }
  return (req, beside) => {
    const value = taken(beside);
    return value === undefined ? undefined : (originRefusal(req, isAllowedOrigin) ?? value);
  };
}
