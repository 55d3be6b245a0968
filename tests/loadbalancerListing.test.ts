import { describe, expect, it } from '@jest/globals';
import { parseListing } from '../lib/loadbalancer/listing.ts';

const ID = 'padstack_budgeting-service.1.k7oqrdzi84fqlnd59vy81zums';
const ENTRY = {
  id: ID,
  name: 'budgeting',
  host: ID,
  port: 8087,
  health_check: '/health',
  status: 'healthy',
  request_count: 15,
};
const GOOD = { ...ENTRY, id: 'good' };

/** The only replica in a listing of `entry`. */
function only(entry: object) {
  const { listed, skipped } = parseListing([entry]);
  expect(skipped).toEqual([]);
  expect(listed).toHaveLength(1);
  return listed[0];
}

/** Why `entry` is skipped beside a good one. */
function reasonFor(entry: unknown): string {
  const { listed, skipped } = parseListing([GOOD, entry]);
  expect(listed.map(({ id }) => id)).toEqual(['good']);
  expect(skipped).toHaveLength(1);
  return skipped[0] ?? '';
}

describe('parseListing', () => {
  it("reads the stack's registry", () => {
    expect(only(ENTRY)).toEqual({
      id: ID,
      name: 'budgeting',
      url: new URL(`http://${ID}:8087`),
      healthy: true,
      requestCount: 15,
    });
  });

  it('reads a list inside an object', () => {
    expect(parseListing({ services: [ENTRY] })).toEqual(parseListing([ENTRY]));
  });

  it.each([
    ['[]', []],
    ['{"services": []}', { services: [] }],
  ])('reads %s as nobody', (_shown, body) => {
    expect(parseListing(body)).toEqual({ listed: [], skipped: [] });
  });

  it.each([
    ['id', { id: 'a', service_id: 'b', host: 'c' }, 'a'],
    ['service_id', { service_id: 'b', host: 'c' }, 'b'],
    ['service_id beside a null', { id: null, service_id: 'b', host: 'c' }, 'b'],
    ['host', { host: 'c' }, 'c'],
  ])('knows a replica by its %s', (_field, fields, id) => {
    expect(only({ name: 'budgeting', port: 1, ...fields })?.id).toBe(id);
  });

  it.each([
    ['host and port', { host: 'budgeting', port: 8087 }, 'http://budgeting:8087/'],
    ['an IPv6 host', { host: '2001:db8::1', port: 8087 }, 'http://[2001:db8::1]:8087/'],
    ['an IPv6 host in brackets', { host: '[::1]', port: 8087 }, 'http://[::1]:8087/'],
    [
      'a url, which wins',
      { host: 'budgeting', port: 8087, url: 'http://127.0.0.1:4000' },
      'http://127.0.0.1:4000/',
    ],
    ['a url alone', { url: 'http://127.0.0.1:4000/' }, 'http://127.0.0.1:4000/'],
    ['host and port beside an empty url', { host: 'budgeting', port: 80, url: '' }, 'http://budgeting/'],
  ])('finds a replica at %s', (_what, fields, href) => {
    expect(only({ id: 'x', name: 'budgeting', ...fields })?.url.href).toBe(href);
  });

  it.each([
    ['healthy', true],
    ['unhealthy', false],
    ['unknown', true],
    [null, true],
    [undefined, true],
  ])('takes a replica whose status is %p for healthy: %p', (status, healthy) => {
    expect(only({ ...ENTRY, status })?.healthy).toBe(healthy);
  });

  it('counts from 0 when the registry does not count', () => {
    expect(only({ ...ENTRY, request_count: undefined })?.requestCount).toBe(0);
  });

  it.each([
    ['no object', 7, 'entry 1: Invalid input: expected object, received number'],
    ['no name', { ...ENTRY, name: undefined }, `entry 1 ("${ID}"): name: Invalid input: expected string`],
    ['an empty id', { ...ENTRY, id: '' }, 'id: Too small'],
    ['an endless id', { ...ENTRY, id: 'x'.repeat(256) }, `entry 1 ("${'x'.repeat(60)}..."): id: Too big`],
    ['a port in words', { ...ENTRY, port: '8087' }, 'port: Invalid input: expected number, received string'],
    ['no such port', { ...ENTRY, port: 65_536 }, 'port: Too big'],
    ['no such status', { ...ENTRY, status: 'UP' }, 'status: Invalid option: expected one of "healthy"'],
    ['a count below 0', { ...ENTRY, request_count: -1 }, 'request_count: Too small'],
    [
      'neither id nor host',
      { name: 'budgeting', port: 1 },
      'entry 1 ("budgeting"): it has neither id nor host',
    ],
    ['host without port', { ...ENTRY, port: undefined }, 'it has neither url nor host and port'],
    ['a second fault', { ...ENTRY, port: 0, name: '' }, '; port: Too small'],
    ['https', { ...ENTRY, url: 'https://budgeting' }, 'url: expected an http origin'],
    ['a url with a path', { ...ENTRY, url: 'http://budgeting/api' }, 'url: expected an http origin'],
    ['a url with a user', { ...ENTRY, url: 'http://user@budgeting' }, 'url: expected an http origin'],
    [
      'a host with a path',
      { ...ENTRY, host: 'elsewhere/' },
      'host: no URL can hold "http://elsewhere/:8087"',
    ],
    ['a host with a user', { ...ENTRY, host: 'user@elsewhere' }, 'host: no URL can hold'],
    ['a host with a fragment', { ...ENTRY, host: 'elsewhere#' }, 'host: no URL can hold'],
    ['a host that is no host', { ...ENTRY, host: 'budgeting.1' }, 'host: no URL can hold'],
  ])('skips an entry with %s', (_what, entry, reason) => {
    expect(reasonFor(entry)).toContain(reason);
  });

  it('takes the last of several entries with the same id, and says so', () => {
    const { listed, skipped } = parseListing([ENTRY, GOOD, { ...ENTRY, request_count: 99 }]);
    expect(listed.map(({ id, requestCount }) => [id, requestCount])).toEqual([
      [ID, 99],
      ['good', 15],
    ]);
    expect(skipped).toEqual([`entry 2 ("${ID}"): takes the place of an earlier entry with the same id`]);
  });

  it.each([
    ['HTML', '\n<!doctype html><title>Login</title>', 'got HTML "\\n<!doctype html><title>Login</title>"'],
    ['text', 'upstream connect error', 'got text "upstream connect error"'],
    ['a long text', 'x'.repeat(1000), `got text "${'x'.repeat(60)}..."`],
    ['an empty body', '', 'got nothing'],
    ['null', null, 'got null'],
    ['a number', 7, 'got 7'],
    ['another object', { error: 'no', status: 500 }, 'got an object with the fields "error, status"'],
    ['services that are none', { services: 7 }, 'got 7'],
    ['too many', Array(20_001).fill(ENTRY), 'expected at most 20000 entries, got 20001'],
    [
      'entries of which none can be read',
      [1, 2],
      'none of the 2 entries can be read, such as entry 0: Invalid',
    ],
  ])('refuses %s', (_what, body, message) => {
    expect(() => parseListing(body)).toThrow(message);
    expect(() => parseListing(body)).toThrow(expect.objectContaining({ name: 'ListingError' }));
  });

  it('reads 10,000 replicas', () => {
    const ids = Array.from({ length: 10_000 }, (_, index) => `budgeting.${index}.task`);
    const { listed, skipped } = parseListing(ids.map((id) => ({ ...ENTRY, id, host: id })));
    expect(skipped).toEqual([]);
    expect(listed.map(({ id, url }) => [id, url.hostname])).toEqual(ids.map((id) => [id, id]));
  });
});
