import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { RawClient, sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

const authorization = `Authorization: Bearer ${tokenFor('ann')}`;
const EVIL = 'GET /internal/up/evil HTTP/1.1\r\nHost: h\r\n\r\n';

type Case = readonly [what: string, head: string, content: string];

const post = (...lines: readonly string[]) =>
  `${['POST /internal/up/x HTTP/1.1', 'Host: h', ...lines].join('\r\n')}\r\n\r\n`;

/** Requests whose end two parties may see in two places. Behind each of them stands `EVIL`. */
const AMBIGUOUS: readonly Case[] = [
  ['CL.TE', post('Content-Length: 5', 'Transfer-Encoding: chunked'), '0\r\n\r\n'],
  ['TE.CL', post('Transfer-Encoding: chunked', 'Content-Length: 4'), '0\r\n\r\n'],
  ['TE.TE, one unknown', post('Transfer-Encoding: chunked', 'Transfer-Encoding: x'), '0\r\n\r\n'],
  ['TE.TE, twice', post('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'), '0\r\n\r\n'],
  ['chunked before another coding', post('Transfer-Encoding: chunked, gzip'), '0\r\n\r\n'],
  ['identity', post('Transfer-Encoding: identity'), '0\r\n\r\n'],
  ['a coding that looks like chunked', post('Transfer-Encoding: xchunked'), '0\r\n\r\n'],
  ['a coding in quotes', post('Transfer-Encoding: "chunked"'), '0\r\n\r\n'],
  ['a coding with a parameter', post('Transfer-Encoding: chunked;a=b'), '0\r\n\r\n'],
  ['a coding behind a vertical tab', post('Transfer-Encoding: \x0bchunked'), '0\r\n\r\n'],
  [
    'a coding and a blank before the colon',
    post('Transfer-Encoding : chunked', 'Content-Length: 5'),
    '0\r\n\r\n',
  ],
  ['a folded coding', post('Transfer-Encoding:', ' chunked', 'Content-Length: 5'), '0\r\n\r\n'],
  ['a coding behind a bare LF', post('X: a\nTransfer-Encoding: chunked', 'Content-Length: 5'), '0\r\n\r\n'],
  ['a coding behind a bare CR', post('X: a\rTransfer-Encoding: chunked', 'Content-Length: 5'), '0\r\n\r\n'],
  ['a coding behind a NUL', post('X: a\0Transfer-Encoding: chunked'), ''],
  ['two lengths', post('Content-Length: 0', 'Content-Length: 48'), ''],
  ['two lengths in one', post('Content-Length: 0, 48'), ''],
  ['the same length twice', post('Content-Length: 0', 'Content-Length: 0'), ''],
  ['a length with a plus', post('Content-Length: +0'), ''],
  ['a negative length', post('Content-Length: -1'), ''],
  ['a length in hex', post('Content-Length: 0x0'), ''],
  ['a length with a fraction', post('Content-Length: 0.0'), ''],
  ['a length with a blank in it', post('Content-Length: 0 0'), ''],
  ['a length beyond 64 bits', post('Content-Length: 18446744073709551616'), ''],
  ['an empty length', post('Content-Length: '), ''],
  ['a folded length', post('Content-Length:', ' 0'), ''],
  ['a blank before the first field', `POST /internal/up/x HTTP/1.1\r\n Host: h\r\n\r\n`, ''],
  ['bare LFs all over', 'POST /internal/up/x HTTP/1.1\nHost: h\nContent-Length: 0\n\n', ''],
  ['a size that is none', post('Transfer-Encoding: chunked'), 'z\r\n'],
  ['a size with a sign', post('Transfer-Encoding: chunked'), '+0\r\n\r\n'],
  ['a size in 0x', post('Transfer-Encoding: chunked'), '0x0\r\n\r\n'],
  ['a size beyond 64 bits', post('Transfer-Encoding: chunked'), '10000000000000000\r\n'],
  ['a size before a bare LF', post('Transfer-Encoding: chunked'), '0\n\r\n'],
  ['a chunk that is too long', post('Transfer-Encoding: chunked'), '1\r\nabc\r\n0\r\n\r\n'],
  ['a chunk that ends in a bare LF', post('Transfer-Encoding: chunked'), '1\r\na\n0\r\n\r\n'],
  ['an extension with a bare LF', post('Transfer-Encoding: chunked'), '1;a\nb\r\na\r\n0\r\n\r\n'],
  ['a length in its trailers', post('Transfer-Encoding: chunked'), '0\r\nContent-Length: 99\r\n\r\n'],
  ['a tab for a blank', 'POST\t/internal/up/x\tHTTP/1.1\r\nHost: h\r\n\r\n', ''],
  [
    'a second request in the target',
    'GET /internal/up/x HTTP/1.1\rGET /internal/up/evil HTTP/1.1\r\nHost: h\r\n\r\n',
    '',
  ],
];

describe('a request with', () => {
  let upstream: Upstream;
  let test: TestGateway;
  let before = 0;

  beforeAll(async () => {
    upstream = await startUpstream();
    test = await startGateway({ services: { '/up': [upstream] } });
  });
  beforeEach(() => {
    before = upstream.requests.length;
  });
  afterAll(async () => {
    await test.stop();
    await upstream[Symbol.asyncDispose]();
  });

  it.each(AMBIGUOUS)('%s is refused, and nothing behind it is read', async (_what, head, content) => {
    using client = await RawClient.to(test.internal);
    client.send(head + content + EVIL);
    const answer = await client.answer('POST');
    expect(answer.status).toBe(400);
    await client.closed();
    expect(client.received.match(/HTTP\/1\.1 \d/g)).toHaveLength(1);
    expect(upstream.requests.slice(before).map(({ target }) => target)).not.toContain('/evil');
    expect(upstream.requests.slice(before).every(({ body }) => body.length === 0)).toBe(true);
  });

  it.each([
    ['a chunk extension', post('Transfer-Encoding: chunked'), '2;a=b;c="d"\r\nok\r\n0\r\n\r\n', 'ok'],
    ['two blanks before the version', 'POST /internal/up/x  HTTP/1.1\r\nHost: h\r\n\r\n', '', ''],
    ['leading zeros in a size', post('Transfer-Encoding: chunked'), '0002\r\nok\r\n000\r\n\r\n', 'ok'],
    ['a coding in capitals', post('Transfer-Encoding: CHUNKED'), '2\r\nok\r\n0\r\n\r\n', 'ok'],
    ['trailers', post('Transfer-Encoding: chunked', 'Trailer: X-T'), '2\r\nok\r\n0\r\nX-T: 1\r\n\r\n', 'ok'],
    ['leading zeros in a length', post('Content-Length: 0002'), 'ok', 'ok'],
    ['a request for its content', post(`Content-Length: ${EVIL.length}`), EVIL, EVIL],
    [
      'a chunk that is a request',
      post('Transfer-Encoding: chunked'),
      `${EVIL.length.toString(16)}\r\n${EVIL}\r\n0\r\n\r\n`,
      EVIL,
    ],
  ])('%s is one request to the service too', async (_what, head, content, body) => {
    using client = await RawClient.to(test.internal);
    client.send(head + content);
    expect((await client.answer('POST')).status).toBe(200);
    const arrived = upstream.requests.slice(before);
    expect(arrived.map((one) => [one.target, one.body.toString()])).toEqual([['/x', body]]);
  });

  it.each([
    ['an empty host', ''],
    ['a user', 'user@h'],
    ['a password', 'user:pass@h'],
    ['a path', 'h/internal'],
    ['a list', 'a, b'],
    ['a list without blanks', 'a,b'],
    ['a blank', 'a b'],
    ['a tab', 'a\tb'],
    ['a port that is none', 'h:x'],
    ['two ports', 'h:1:2'],
    ['a port of six digits', 'h:100000'],
    ['a query', 'h?x'],
    ['a fragment', 'h#x'],
    ['a backslash', 'h\\x'],
    ['a scheme', 'http://h'],
    ['an open bracket', '[::1'],
    ['a letter behind brackets', '[::1]x'],
    ['a byte beyond ASCII', 'caf\xe9'],
    ['quotes', '"h"'],
    ['angle brackets', '<h>'],
  ])('%s for a Host is refused with 400, and its connection closed', async (_what, host) => {
    using client = await RawClient.to(test.internal);
    client.send(`GET /internal/up/x HTTP/1.1\r\nHost: ${host}\r\n\r\n${EVIL}`);
    expect((await client.answer()).status).toBe(400);
    await client.closed();
    expect(upstream.requests).toHaveLength(before);
  });

  it.each([
    'h',
    'h:8000',
    'h:',
    'a.b-c.example.',
    '127.0.0.1:80',
    '[::1]',
    '[::1]:8000',
    'under_score',
    '%61',
  ])('the Host %s is served', async (host) => {
    using client = await RawClient.to(test.internal);
    client.send(`GET /internal/up/x HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    expect((await client.answer()).status).toBe(200);
  });

  it.each([
    'http://h@evil/internal/up/x',
    'http://evil@h/internal/up/x',
    'http://h:80@evil/internal/up/x',
    'http://evil/internal/up/x',
    'http://h\\@evil/internal/up/x',
    'http://h%40evil/internal/up/x',
    'http://h#@evil/internal/up/x',
    'https://evil?h/internal/up/x',
    '//h/internal/up/x',
    'internal/up/x',
    'h:80',
  ])('the target %s reaches nobody', async (target) => {
    using client = await RawClient.to(test.internal);
    client.send(`GET ${target} HTTP/1.1\r\nHost: h\r\n\r\n`);
    expect([400, 404]).toContain((await client.answer()).status);
    expect(upstream.requests).toHaveLength(before);
  });

  it('two Hosts is refused even where a kept response would do', async () => {
    const get = (hosts: string) =>
      sendRaw(test.external, `GET /up/x HTTP/1.1\r\n${hosts}${authorization}\r\nConnection: close\r\n\r\n`);
    await eventually('it is kept', async () => (await get('Host: h\r\n')).field('X-Cache') === 'HIT');
    const served = upstream.requests.length;
    expect((await get('Host: h\r\nHost: evil\r\n')).status).toBe(400);
    expect((await get('Host: h\r\nHost: h\r\n')).status).toBe(400);
    expect(upstream.requests).toHaveLength(served);
  });
});
