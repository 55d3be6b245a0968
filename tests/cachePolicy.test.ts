import { describe, expect, it } from '@jest/globals';
import { decodeEntry, encodeEntry } from '../lib/cache/entry.ts';
import { cacheKey } from '../lib/cache/key.ts';
import { freshnessLifetimeMs, requestDirectives, varyingFields } from '../lib/cache/policy.ts';

const NOW_MS = Date.UTC(2026, 0, 15, 12);
const DEFAULT_TTL_MS = 30_000;
const YEAR_MS = 365 * 24 * 60 * 60 * 1000;

function inSeconds(seconds: number): string {
  return new Date(NOW_MS + seconds * 1000).toUTCString();
}

describe('how long an answer is fresh', () => {
  const answers: { name: string; status?: number; fields: Record<string, string>; outMs: number }[] = [
    { name: 'says nothing', fields: {}, outMs: DEFAULT_TTL_MS },
    { name: 'says only that it is public', fields: { 'cache-control': 'public' }, outMs: DEFAULT_TTL_MS },
    { name: 'has a Last-Modified', fields: { 'last-modified': inSeconds(-86_400) }, outMs: DEFAULT_TTL_MS },
    { name: 'max-age', fields: { 'cache-control': 'max-age=60' }, outMs: 60_000 },
    { name: 'max-age in odd case', fields: { 'cache-control': 'Public, Max-Age=60' }, outMs: 60_000 },
    { name: 'max-age in quotes', fields: { 'cache-control': 'max-age="60"' }, outMs: 60_000 },
    { name: 'max-age=0', fields: { 'cache-control': 'max-age=0' }, outMs: 0 },
    { name: 'max-age that is no number', fields: { 'cache-control': 'max-age=soon' }, outMs: 0 },
    { name: 'max-age of ages', fields: { 'cache-control': `max-age=${'9'.repeat(30)}` }, outMs: YEAR_MS },
    { name: 's-maxage before max-age', fields: { 'cache-control': 'max-age=60, s-maxage=5' }, outMs: 5_000 },
    { name: 's-maxage=0', fields: { 'cache-control': 'max-age=60, s-maxage=0' }, outMs: 0 },
    { name: 'no-store', fields: { 'cache-control': 'no-store' }, outMs: 0 },
    { name: 'No-Store in odd case', fields: { 'cache-control': 'No-Store' }, outMs: 0 },
    { name: 'no-store in a list', fields: { 'cache-control': 'max-age=60, no-store' }, outMs: 0 },
    { name: 'private', fields: { 'cache-control': 'private, max-age=60' }, outMs: 0 },
    { name: 'PRIVATE', fields: { 'cache-control': 'PRIVATE' }, outMs: 0 },
    { name: 'no-cache', fields: { 'cache-control': 'no-cache, max-age=60' }, outMs: 0 },
    { name: 'proxy-revalidate', fields: { 'cache-control': 'max-age=60, proxy-revalidate' }, outMs: 0 },
    { name: 'Pragma: no-cache', fields: { pragma: 'no-cache' }, outMs: 0 },
    // RFC 5861: these say how long a stale answer may be used, not that it is fresh.
    {
      name: 'stale-while-revalidate',
      fields: { 'cache-control': 'max-age=5, stale-while-revalidate=3600' },
      outMs: 5_000,
    },
    { name: 'stale-if-error', fields: { 'cache-control': 'max-age=0, stale-if-error=3600' }, outMs: 0 },
    { name: 'Expires in a minute', fields: { expires: inSeconds(60) }, outMs: 60_000 },
    { name: 'Expires in the past', fields: { expires: inSeconds(-60) }, outMs: 0 },
    { name: 'Expires: 0', fields: { expires: '0' }, outMs: 0 },
    {
      name: 'Expires, counted from Date',
      fields: { expires: inSeconds(60), date: inSeconds(50) },
      outMs: 10_000,
    },
    {
      name: 'max-age before Expires',
      fields: { 'cache-control': 'max-age=5', expires: inSeconds(60) },
      outMs: 5_000,
    },
    {
      name: 'Age, which it has spent elsewhere',
      fields: { 'cache-control': 'max-age=60', age: '45' },
      outMs: 15_000,
    },
    { name: 'an Age that is no number', fields: { 'cache-control': 'max-age=60', age: '-5' }, outMs: 60_000 },
    { name: 'Set-Cookie', fields: { 'set-cookie': 'a=1', 'cache-control': 'public, max-age=60' }, outMs: 0 },
    { name: 'Vary: *', fields: { vary: '*' }, outMs: 0 },
    { name: 'Vary with * among others', fields: { vary: 'Accept, *' }, outMs: 0 },
    { name: 'Vary', fields: { vary: 'Accept' }, outMs: DEFAULT_TTL_MS },
    { name: 'an event stream', fields: { 'content-type': 'Text/Event-Stream; charset=utf-8' }, outMs: 0 },
    {
      name: 'CDN-Cache-Control before Cache-Control',
      fields: { 'cdn-cache-control': 'max-age=60', 'cache-control': 'no-store' },
      outMs: 60_000,
    },
    {
      name: 'CDN-Cache-Control: no-store',
      fields: { 'cdn-cache-control': 'no-store', 'cache-control': 'max-age=60', expires: inSeconds(60) },
      outMs: 0,
    },
    {
      name: 'CDN-Cache-Control before Expires',
      fields: { 'cdn-cache-control': 'must-revalidate', expires: inSeconds(60) },
      outMs: DEFAULT_TTL_MS,
    },
    {
      name: 'a CDN-Cache-Control that is no dictionary',
      fields: { 'cdn-cache-control': 'Max Age=60', 'cache-control': 'max-age=5' },
      outMs: 5_000,
    },
    {
      name: 'an empty CDN-Cache-Control',
      fields: { 'cdn-cache-control': '', 'cache-control': 'max-age=5' },
      outMs: 5_000,
    },
    ...[201, 203, 204, 206, 301, 302, 304, 400, 404, 410, 500, 503].map((status) => ({
      name: `status ${status}`,
      status,
      fields: { 'cache-control': 'public, max-age=60' },
      outMs: 0,
    })),
  ];

  it.each(answers)('$name', ({ status = 200, fields, outMs }) => {
    const options = { defaultTtlMs: DEFAULT_TTL_MS, nowMs: NOW_MS };
    expect(Math.max(0, freshnessLifetimeMs(status, fields, options))).toBe(outMs);
  });
});

describe('what a request lets a cache do', () => {
  const requests: { name: string; headers: Record<string, string>; use: boolean; store: boolean }[] = [
    { name: 'says nothing', headers: {}, use: true, store: true },
    { name: 'no-store', headers: { 'cache-control': 'no-store' }, use: false, store: false },
    {
      name: 'No-Store in odd case',
      headers: { 'cache-control': 'max-age=5, No-Store' },
      use: false,
      store: false,
    },
    { name: 'no-cache', headers: { 'cache-control': 'no-cache' }, use: false, store: true },
    { name: 'Pragma: no-cache', headers: { pragma: 'No-Cache' }, use: false, store: true },
    { name: 'max-age=0', headers: { 'cache-control': 'max-age=0' }, use: false, store: true },
    { name: 'max-age="0"', headers: { 'cache-control': 'max-age="0"' }, use: false, store: true },
    { name: 'max-age=05', headers: { 'cache-control': 'max-age=05' }, use: true, store: true },
    { name: 'max-age=60', headers: { 'cache-control': 'max-age=60' }, use: true, store: true },
    { name: 'a range', headers: { range: 'bytes=0-1' }, use: false, store: false },
    { name: 'an upgrade', headers: { upgrade: 'websocket' }, use: false, store: false },
  ];

  it.each(requests)('$name', ({ headers, use, store }) => {
    expect(requestDirectives(headers, true)).toEqual({ mayUse: use, mayStore: store });
  });

  it.each([true, false])('Authorization, its sender verified: %p', (isIdentified) => {
    const { mayUse, mayStore } = requestDirectives({ authorization: 'Bearer a' }, isIdentified);
    expect([mayUse, mayStore]).toEqual([isIdentified, isIdentified]);
  });
});

describe('what a stored answer depends on', () => {
  it.each([
    { vary: undefined, out: {} },
    { vary: 'Accept', out: { accept: 'a/b' } },
    { vary: 'ACCEPT , x-absent,', out: { accept: 'a/b', 'x-absent': '' } },
    { vary: 'Authorization', out: {} },
  ])('Vary: $vary', ({ vary, out }) => {
    expect(varyingFields(vary, { accept: 'a/b', authorization: 'secret' })).toEqual(out);
  });
});

describe('cacheKey', () => {
  const SERVICE = '/budgeting';

  it('is a different one for each caller and target, whatever they are called', () => {
    const identities = [
      undefined,
      '',
      'a',
      'a:b',
      'a:',
      ':a',
      'sub=a',
      'sub%3Da',
      'b\u00fc',
      '\u{1F4B0}',
      'a/b',
    ];
    const targets = ['/', '/?', '/b', ':/b', 'b:/c', '/b?c', '/B'];
    const keys = identities.flatMap((identity) =>
      targets.map((target) => cacheKey({ service: SERVICE, identity, target })),
    );
    expect(new Set(keys).size).toBe(identities.length * targets.length);
  });
});

describe('a stored entry', () => {
  const entry = {
    fields: ['Content-Type', 'text/plain', 'X-Latin', '\u00e9\u00ff'],
    madeAtMs: 1,
    freshUntilMs: 2,
    varying: { accept: 'a' },
    body: Buffer.from([0x0a, 0x00, 0xff, 0x7b]),
  };

  it('comes back as it was', () => {
    expect(decodeEntry(encodeEntry(entry))).toEqual(entry);
  });

  it('may have no content', () => {
    expect(decodeEntry(encodeEntry({ ...entry, body: Buffer.alloc(0) })).body).toHaveLength(0);
  });

  it.each([
    { name: 'nothing', stored: '' },
    { name: 'no line', stored: '{}' },
    { name: 'no JSON', stored: 'hello\nworld' },
    { name: 'null', stored: 'null\n' },
    { name: 'an empty object', stored: '{}\n' },
    {
      name: 'fields that are no list',
      stored: '{"fields":"a","madeAtMs":1,"freshUntilMs":2,"varying":{}}\n',
    },
    { name: 'an odd field', stored: '{"fields":["a"],"madeAtMs":1,"freshUntilMs":2,"varying":{}}\n' },
    {
      name: 'a field that is no text',
      stored: '{"fields":["a",1],"madeAtMs":1,"freshUntilMs":2,"varying":{}}\n',
    },
    { name: 'no time', stored: '{"fields":[],"madeAtMs":null,"freshUntilMs":2,"varying":{}}\n' },
    { name: 'no varying', stored: '{"fields":[],"madeAtMs":1,"freshUntilMs":2,"varying":null}\n' },
  ])('of $name is refused', ({ stored }) => {
    expect(() => decodeEntry(Buffer.from(stored))).toThrow();
  });
});
