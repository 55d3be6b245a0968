import { describe, expect, it } from '@jest/globals';
import proxyaddr from 'proxy-addr';
import { clientAddress } from '../../../lib/http/clientAddress.ts';
import { forwardedChain } from '../../../lib/http/forwardedChain.ts';
import { forwardedFieldsFor, forwardedPrefix } from '../../../lib/proxy/request/forwarded.ts';
import { RawClient, request } from '../../support/clients/rawClient.ts';
import { bareApp } from '../../support/gateway/bareApp.ts';

const compiled = proxyaddr.compile(['127.0.0.0/8', '10.0.0.0/8', 'fd00::/8']);
const trusts = (address: string) => compiled(address, 0);
const STRANGER = () => false;

interface Passed {
  readonly for: string;
  readonly host: string;
  readonly proto: string;
  readonly port: string;
  readonly prefix: string;
  readonly forwarded: string;
  /** Whom limits count the request for. */
  readonly client: string;
}

/** What becomes of these field lines of a peer at 127.0.0.1. */
async function passed(fields: readonly string[], trustsPeer = trusts): Promise<Passed> {
  const fieldsFor = forwardedFieldsFor(trustsPeer);
  const addressOf = clientAddress(trustsPeer);
  await using app = await bareApp((req, res) => {
    const lines = fieldsFor(req);
    const value = (name: string) => lines[lines.indexOf(name) + 1];
    const told = {
      for: value('X-Forwarded-For'),
      host: value('X-Forwarded-Host'),
      proto: value('X-Forwarded-Proto'),
      port: lines.includes('X-Forwarded-Port') ? value('X-Forwarded-Port') : 'none',
      prefix: forwardedPrefix(req, trustsPeer),
      forwarded: value('Forwarded'),
      client: addressOf(req),
    };
    res.end(JSON.stringify(told));
  });
  using client = await RawClient.to(app.url.origin);
  client.send(request('GET /', ...fields));
  return JSON.parse((await client.answer()).body);
}

describe('what a trusted proxy writes in X-Forwarded-For', () => {
  it.each([
    ['203.0.113.7', '203.0.113.7', '203.0.113.7'],
    ['203.0.113.7:4711', '203.0.113.7', '203.0.113.7'],
    ['2001:db8:1:2::99', '2001:db8:1:2::99', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::99', '2001:db8:1:2::99', '2001:db8:1:2::/64'],
    ['[2001:db8:1:2::99]', '2001:db8:1:2::99', '2001:db8:1:2::/64'],
    ['[2001:db8:1:2::99]:4711', '2001:db8:1:2::99', '2001:db8:1:2::/64'],
    ['"[2001:db8:1:2::99]:4711"', '2001:db8:1:2::99', '2001:db8:1:2::/64'],
    ['::ffff:203.0.113.7', '203.0.113.7', '203.0.113.7'],
    ['[::ffff:203.0.113.7]:80', '203.0.113.7', '203.0.113.7'],
    ['unknown', 'unknown', 'unknown'],
    ['_hidden', 'unknown', 'unknown'],
    ['fe80::1%eth0', 'unknown', 'unknown'],
    ['203.0.113.7:', 'unknown', 'unknown'],
    ['203.0.113.7:999999', 'unknown', 'unknown'],
    ['[2001:db8::1]x', 'unknown', 'unknown'],
    ['999.0.113.7', 'unknown', 'unknown'],
    ['  203.0.113.7\t', '203.0.113.7', '203.0.113.7'],
    ['203.0.113.7, 10.1.2.3', '203.0.113.7, 10.1.2.3', '203.0.113.7'],
    ['203.0.113.7:1, 10.1.2.3:2', '203.0.113.7, 10.1.2.3', '203.0.113.7'],
    ['203.0.113.7,,10.1.2.3,', '203.0.113.7, 10.1.2.3', '203.0.113.7'],
    ['203.0.113.7, [fd00::1]:8443', '203.0.113.7, fd00::1', '203.0.113.7'],
    ['6.6.6.6, 203.0.113.7', '6.6.6.6, 203.0.113.7', '203.0.113.7'],
    ['6.6.6.6, unknown', '6.6.6.6, unknown', 'unknown'],
    ['garbage, 203.0.113.7', 'unknown, 203.0.113.7', '203.0.113.7'],
    ['10.9.9.9, 10.1.2.3', '10.9.9.9, 10.1.2.3', '10.9.9.9'],
    [', ,', undefined, '127.0.0.1'],
  ])('%p is told as %p and counted as %p', async (given, told, client) => {
    const result = await passed([`X-Forwarded-For: ${given}`]);
    expect(result.for).toBe(told === undefined ? '127.0.0.1' : `${told}, 127.0.0.1`);
    expect(result.client).toBe(client);
  });

  it('is one list, over however many lines', async () => {
    const result = await passed(['X-Forwarded-For: 6.6.6.6', 'X-Forwarded-For: 203.0.113.7:1, 10.1.1.1']);
    expect(result).toMatchObject({ for: '6.6.6.6, 203.0.113.7, 10.1.1.1, 127.0.0.1', client: '203.0.113.7' });
  });

  it('is written into Forwarded, too', async () => {
    const { forwarded } = await passed(['X-Forwarded-For: _hidden, [2001:db8::1]:4711, 10.1.1.1']);
    expect(forwarded).toBe(
      'for=unknown, for="[2001:db8::1]", for=10.1.1.1, for=127.0.0.1;host=gateway.test;proto=http',
    );
  });
});

describe('what a trusted proxy writes in Forwarded', () => {
  it.each([
    ['for=203.0.113.7', '203.0.113.7', '203.0.113.7'],
    ['For="203.0.113.7:4711"', '203.0.113.7', '203.0.113.7'],
    ['for="[2001:db8:1:2::99]:4711"', '2001:db8:1:2::99', '2001:db8:1:2::/64'],
    ['for="[2001:db8:1:2::99]:_port"', '2001:db8:1:2::99', '2001:db8:1:2::/64'],
    ['for="\\2\\03.0.113.7"', '203.0.113.7', '203.0.113.7'],
    ['for=unknown', 'unknown', 'unknown'],
    ['for=_hidden', 'unknown', 'unknown'],
    ['by=10.1.1.1', 'unknown', 'unknown'],
    ['for=203.0.113.7;by=10.1.1.1;host="a,b;c"', '203.0.113.7', '203.0.113.7'],
    ['for=6.6.6.6, for=203.0.113.7 , for=10.1.1.1', '6.6.6.6, 203.0.113.7, 10.1.1.1', '203.0.113.7'],
    ['for=203.0.113.7,,for=10.1.1.1;,', '203.0.113.7, 10.1.1.1', '203.0.113.7'],
  ])('%p is told as %p and counted as %p', async (given, told, client) => {
    const result = await passed([`Forwarded: ${given}`]);
    expect(result).toMatchObject({ for: `${told}, 127.0.0.1`, client });
    expect(result.forwarded).toBe(`${given}, for=127.0.0.1;host=gateway.test;proto=http`);
  });

  it.each([
    'for=1.2.3.4 for=5.6.7.8',
    'for="1.2.3.4',
    'for=1.2.3.4;for=5.6.7.8',
    '=1.2.3.4',
    'for:1.2.3.4',
    'for=[::1]',
  ])('%p is none', async (given) => {
    const result = await passed([`Forwarded: ${given}`]);
    expect(result).toMatchObject({ for: '127.0.0.1', client: '127.0.0.1' });
    expect(result.forwarded).toBe('for=127.0.0.1;host=gateway.test;proto=http');
  });

  it('tells host and scheme of the client', async () => {
    const forwarded =
      'for=6.6.6.6;host=evil.test;proto=https, for=203.0.113.7;host="shop.test:444";proto=HTTPS';
    const result = await passed([`Forwarded: ${forwarded}, for=10.1.1.1;host=inner.test;proto=http`]);
    expect(result).toMatchObject({ host: 'shop.test:444', proto: 'https', client: '203.0.113.7' });
  });

  it('counts for nothing beside X-Forwarded-For: most proxies let a client write it', async () => {
    const result = await passed([
      'X-Forwarded-For: 203.0.113.7',
      'Forwarded: for=6.6.6.6;host=evil.test;proto=https',
    ]);
    expect(result).toMatchObject({ client: '203.0.113.7', host: 'gateway.test', proto: 'http' });
    expect(result.forwarded).toBe('for=203.0.113.7, for=127.0.0.1;host=gateway.test;proto=http');
  });

  it('stays where both tell the same way', async () => {
    const result = await passed([
      'X-Forwarded-For: 203.0.113.7:9',
      'Forwarded: for=203.0.113.7;by=_p;proto=https',
    ]);
    expect(result.forwarded).toBe(
      'for=203.0.113.7;by=_p;proto=https, for=127.0.0.1;host=gateway.test;proto=http',
    );
  });
});

describe('what a trusted proxy says of the request', () => {
  it.each([
    ['X-Forwarded-Proto: https', { proto: 'https' }],
    ['X-Forwarded-Proto: HTTPS', { proto: 'https' }],
    ['X-Forwarded-Proto: wss', { proto: 'wss' }],
    // Each proxy appended; the first is the client's, if its proxy is trusted.
    ['X-Forwarded-Proto: https, http', { proto: 'https' }, 'X-Forwarded-For: 203.0.113.7, 10.1.1.1'],
    // The client began the list itself.
    ['X-Forwarded-Proto: https, http', { proto: 'http' }, 'X-Forwarded-For: 6.6.6.6, 203.0.113.7'],
    ['X-Forwarded-Proto: https, http', { proto: 'http' }],
    ['X-Forwarded-Proto: javascript', { proto: 'http' }],
    ['X-Forwarded-Proto: ', { proto: 'http' }],
    ['X-Forwarded-Proto: ,', { proto: 'http' }],
    ['X-Forwarded-Host: shop.test', { host: 'shop.test' }],
    ['X-Forwarded-Host: shop.test:444', { host: 'shop.test:444' }],
    [
      'X-Forwarded-Host: shop.test, inner.test',
      { host: 'shop.test' },
      'X-Forwarded-For: 203.0.113.7, 10.1.1.1',
    ],
    ['X-Forwarded-Host: evil.test, shop.test', { host: 'shop.test' }],
    ['X-Forwarded-Host: evil.test/x', { host: 'gateway.test' }],
    ['X-Forwarded-Host: a"b', { host: 'gateway.test' }],
    ['X-Forwarded-Port: 443', { port: '443' }],
    ['X-Forwarded-Port: 443, 80', { port: '443' }, 'X-Forwarded-For: 203.0.113.7, 10.1.1.1'],
    ['X-Forwarded-Port: x', { port: 'none' }],
    ['X-Forwarded-Prefix: /shop', { prefix: '/shop' }],
    ['X-Forwarded-Prefix: /shop/', { prefix: '/shop' }],
    ['X-Forwarded-Prefix: /a, /b/c/', { prefix: '/a/b/c' }],
    ['X-Forwarded-Prefix: /', { prefix: '' }],
    ['X-Forwarded-Prefix: shop', { prefix: '' }],
    ['X-Forwarded-Prefix: //evil.test', { prefix: '' }],
    ['X-Forwarded-Prefix: /a/../b', { prefix: '' }],
    ['X-Forwarded-Prefix: /a?b', { prefix: '' }],
  ])('%p: %p', async (field, told, ...more: string[]) => {
    expect(await passed([field, ...more])).toMatchObject(told);
  });

  it('never leaves a list in Forwarded', async () => {
    const { forwarded } = await passed(['X-Forwarded-Proto: https, http']);
    expect(forwarded).toBe('for=127.0.0.1;host=gateway.test;proto=http');
  });
});

it('of a peer that is not trusted nothing is believed', async () => {
  const fields = [
    'X-Forwarded-For: 6.6.6.6',
    'X-Forwarded-Host: evil.test',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Port: 443',
    'X-Forwarded-Prefix: /evil',
    'Forwarded: for=6.6.6.6;proto=https',
  ];
  expect(await passed(fields, STRANGER)).toEqual({
    for: '127.0.0.1',
    host: 'gateway.test',
    proto: 'http',
    port: 'none',
    prefix: '',
    forwarded: 'for=127.0.0.1;host=gateway.test;proto=http',
    client: '127.0.0.1',
  });
});

it('a peer with an IPv4 address mapped into IPv6 is found in a range of IPv4', () => {
  expect(trusts('::ffff:10.1.2.3')).toBe(true);
  expect(trusts('::ffff:11.1.2.3')).toBe(false);
});

describe('work that grows with a field only as its length does', () => {
  it.each([
    ['blanks', `for=1.2.3.4${' '.repeat(60_000)}x`],
    ['leading blanks', `${' '.repeat(60_000)}x`],
    ['escapes', `for="${'\\a'.repeat(30_000)}`],
    ['elements', 'for=10.1.1.1,'.repeat(4_500)],
    ['names', `${'a'.repeat(60_000)}`],
  ])('%s', (_what, forwarded) => {
    const startedMs = performance.now();
    forwardedChain({ forwarded });
    forwardedChain({ 'x-forwarded-for': forwarded });
    // Quadratic work takes seconds.
    expect(performance.now() - startedMs).toBeLessThan(200);
  });
});
