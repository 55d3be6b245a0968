import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { TokenError } from '../../../lib/auth/errors.ts';
import { takeTokens } from '../../../lib/auth/sources/queryToken.ts';
import { tokenReading } from '../../../lib/auth/sources/readToken.ts';
import { cases } from '../../support/cases.ts';

const take = (query: string) => takeTokens(`/hub${query}`, '/hub'.length);

describe('takeTokens', () => {
  it.each([
    ['?access_token=a.b.c', ['a.b.c'], ''],
    ['?id=1&access_token=a.b.c', ['a.b.c'], '?id=1'],
    ['?access_token=a.b.c&id=1', ['a.b.c'], '?id=1'],
    ['?id=1&access_token=a.b.c&x=%20', ['a.b.c'], '?id=1&x=%20'],
    ['?access%5Ftoken=a', ['a'], ''],
    ['?%61%63%63%65%73%73%5f%74%6f%6b%65%6e=a&b', ['a'], '?b'],
    ['?Access_Token=a', ['a'], ''],
    ['?access_token=a&access_token=b', ['a', 'b'], ''],
    ['?access_token=a&x=1&ACCESS%5fTOKEN=b&y=2', ['a', 'b'], '?x=1&y=2'],
    ['?access_token=', [''], ''],
    ['?access_token', [''], ''],
    ['?x=1;access_token=a;y=2', ['a'], '?x=1;y=2'],
    ['?access_token=a;y=2', ['a'], '?y=2'],
    ['?access_token=a=b', ['a=b'], ''],
    ['?access_token=%61%', ['%61%'], ''],
    ['?&access_token=a&', ['a'], '?&'],
    ['?access_token=a&', ['a'], '?'],
    ['?x=?access_token=1&access_token=a', ['a'], '?x=?access_token=1'],
  ])('finds in %s what a service might read', (query, tokens, rest) => {
    expect(take(query)).toEqual({ tokens, rest });
  });

  it.each([
    '?',
    '?&;&',
    '?access_tokens=a',
    '?xaccess_token=a',
    '?access_toke=a',
    '?token=access_token',
    '?x=access_token=a',
    '?access%255Ftoken=a',
    '?access%5_token=a',
    '?access-token=a',
    '?access+token=a',
    '?access_token%5B%5D=a',
    `?${'%61'.repeat(13)}=a`,
  ])('finds nothing in %s', (query) => {
    expect(take(query)).toBeUndefined();
  });

  it('leaves every other parameter as it was, in its place', () => {
    const names = ['access_token', 'Access%5fToken', 'id', 'access_tokens', '', 'a%5', 'x=access_token'];
    const parameter = fc.tuple(
      fc.constantFrom('&', ';'),
      fc.constantFrom(...names),
      fc.constantFrom('', '=', '=v', '=a=b'),
    );
    const isToken = (name: string) => name === names[0] || name === names[1];
    fc.assert(
      fc.property(fc.array(parameter, { minLength: 1, maxLength: 12 }), (parameters) => {
        const written = (ones: typeof parameters) =>
          ones.map(([mark, name, value], n) => (n === 0 ? '?' : mark) + name + value).join('');
        const others = parameters.filter(([, name]) => !isToken(name));
        const found = parameters.filter(([, name]) => isToken(name));
        const taken = take(written(parameters));
        if (found.length === 0) return expect(taken).toBeUndefined();
        expect(taken?.rest).toBe(written(others));
        expect(taken?.tokens).toEqual(found.map(([, , value]) => value.slice(1)));
      }),
      cases(2_000),
    );
  });
});

describe('a token without named sources', () => {
  const reading = tokenReading();
  const handshake = { upgradeHead: Buffer.alloc(0) };
  const read = (
    headers: Record<string, string>,
    queryTokens: readonly string[] | undefined,
    { method = 'GET', upgradeHead }: { method?: string; upgradeHead?: Buffer } = {},
  ) => {
    const rawHeaders = Object.entries(headers).flat();
    const req = { method, headers, rawHeaders } as unknown as IncomingMessage;
    const takenTokens = queryTokens?.map(
      (value) => ({ from: 'query', name: 'access_token', value }) as const,
    );
    const found = reading.read(req, { takenTokens, upgradeHead }) ?? reading.missing;
    return found instanceof TokenError ? `${found.code}: ${found.message}` : found;
  };
  const stream = { accept: 'text/event-stream' };

  it.each([
    ['a handshake', {}, ['a.b.c'], handshake, 'a.b.c'],
    ['an event stream', stream, ['a.b.c'], {}, 'a.b.c'],
    [
      'one among other types',
      { accept: 'text/html, Text/Event-Stream ; q=0.5,*/*;q=0' },
      ['a.b.c'],
      {},
      'a.b.c',
    ],
    ['an encoded token', stream, ['a%2Eb%2ec'], {}, 'a.b.c'],
    ['what cannot be decoded', stream, ['a%2'], {}, 'a%2'],
    ['a field beside it', { ...stream, authorization: 'Bearer x.y.z' }, ['a.b.c'], {}, 'x.y.z'],
    ['a field beside two', { ...stream, authorization: 'Bearer x.y.z' }, ['a', 'b'], {}, 'x.y.z'],
    [
      'a subprotocol beside it',
      { upgrade: 'websocket', 'sec-websocket-protocol': 'bearer, x.y.z' },
      ['a.b.c'],
      handshake,
      'x.y.z',
    ],
  ] as const)('reads, of %s', (_what, headers, tokens, more, out) => {
    expect(read(headers, tokens, more)).toBe(out);
  });

  it.each([
    ['no token at all', stream, undefined, {}, 'token_missing: no Authorization field'],
    ['an empty one', stream, [''], {}, 'token_missing: the access_token in the query is empty'],
    ['two', stream, ['a', 'a'], {}, 'token_invalid: more than one access_token in the query'],
    ['another scheme beside it', { ...stream, authorization: 'Basic YTpi' }, ['a.b.c'], {}, /^token_missing/],
    ['an empty field beside it', { ...stream, authorization: '' }, ['a.b.c'], {}, /^token_missing/],
    ['a request that accepts nothing', {}, ['a.b.c'], {}, /^token_missing: .* counts for WebSocket/],
    ['one that accepts anything', { accept: '*/*, text/*' }, ['a.b.c'], {}, /^token_missing: .* counts/],
    [
      'one that refuses event streams',
      { accept: 'text/event-stream;q=0.000' },
      ['a'],
      {},
      /^token_missing: .* counts/,
    ],
    ['a POST', stream, ['a.b.c'], { method: 'POST' }, /^token_missing: .* counts for WebSocket/],
    ['a HEAD', stream, ['a.b.c'], { method: 'HEAD' }, /^token_missing: .* counts for WebSocket/],
    [
      'an upgrade that is none',
      { upgrade: 'websocket' },
      ['a.b.c'],
      {},
      /^token_missing: .* counts for WebSocket/,
    ],
  ] as const)('refuses %s', (_what, headers, tokens, more, out) => {
    expect(read(headers, tokens, more)).toMatch(out);
  });
});
