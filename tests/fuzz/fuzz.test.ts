import { describe, expect, it } from '@jest/globals';
import { RawClient } from '../support/clients/rawClient.ts';
import { eventually } from '../support/eventually.ts';
import { run } from '../support/processes/command.ts';
import { startGuardedOrigin } from './guardedOrigin.ts';
import { fuzzedAnswer, fuzzedRequest } from './messages.ts';
import { chunks, mutate } from './mutate.ts';
import { startStrictOrigin } from './origin.ts';
import { Random } from './random.ts';

describe('the fuzzer', () => {
  it('makes the same bytes of the same seed, and others of others', () => {
    const all = Array.from({ length: 200 }, (_, seed) => fuzzedRequest(seed, '/up', []) + fuzzedAnswer(seed));
    expect(all).toEqual(
      Array.from({ length: 200 }, (_, seed) => fuzzedRequest(seed, '/up', []) + fuzzedAnswer(seed)),
    );
    expect(new Set(all).size).toBeGreaterThan(150);
  });

  it('changes heads and chunks', () => {
    const random = new Random(7);
    const heads = new Set(Array.from({ length: 50 }, () => mutate(['GET / HTTP/1.1', 'Host: h'], random)));
    expect(heads.size).toBeGreaterThan(20);
    expect(new Set(Array.from({ length: 50 }, () => chunks('hello', random))).size).toBeGreaterThan(5);
  });

  it.each([
    ['a request that the gateway did not name', 'GET /x HTTP/1.1\r\nHost: h\r\n\r\n', 'with the ids'],
    ['bytes that are no request', 'hello\r\n\r\n', 'no request at the origin'],
    [
      'two lengths',
      'GET /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx',
      'no request',
    ],
    [
      'one request twice',
      'GET /x HTTP/1.1\r\nHost: h\r\nX-Request-Id: 00000000-0000-4000-8000-000000000000\r\n\r\n'.repeat(2),
      'came twice',
    ],
  ])('has an origin that notices %s', async (_what, bytes, finding) => {
    const found: string[] = [];
    await using origin = await startStrictOrigin((what) => void found.push(what));
    using client = await RawClient.to(origin.url.origin);
    client.send(bytes);
    await eventually('it is found', () => found.some((what) => what.includes(finding)));
  });

  it('has a service that notices who gets to what it would keep from them, in its own reading', async () => {
    const found: string[] = [];
    await using origin = await startGuardedOrigin((what) => void found.push(what));
    const claims = Buffer.from('{"scope":"files"}').toString('base64url');
    for (const [target, headers] of [
      ['/catalog/x', {}],
      ['/files/shared/x', { 'x-auth-claims': claims }],
      ['/ADMIN/x', { 'x-auth-claims': claims }],
    ] as const)
      await fetch(new URL(target, origin.url), { headers });
    expect(found.every((what) => what.startsWith('GET /ADMIN/x '))).toBe(true);
    expect(found.length).toBeGreaterThan(0);
  });

  it('finds nothing in a few seconds', async () => {
    const args = ['tests/fuzz/main.ts', '--seconds', '4', '--seed', '20261124'];
    const { stdout } = await run(process.execPath, args);
    expect(stdout.toString()).toMatch(/ cases, \d+ requests at the origin, 0 findings\n$/);
  }, 60_000);
});
