import { describe, expect, it } from '@jest/globals';
import { parseListing } from '../../../../lib/loadbalancer/registry/listing.ts';

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
const GOOD = { ...ENTRY, id: 'good', host: 'good' };

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
  expect(listed.map(({ registered }) => registered.id)).toEqual(['good']);
  expect(skipped).toHaveLength(1);
  return skipped[0] ?? '';
}

describe('parseListing', () => {
  it("reads the stack's registry", () => {
    expect(only(ENTRY)).toEqual({
      key: `${ID}:8087`,
      registered: { id: ID, host: ID, port: 8087, tag: expect.any(String) },
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
    ['null', null],
    ['{"services": []}', { services: [] }],
    ['{"services": null}', { services: null }],
  ])('reads %s as nobody', (_shown, body) => {
    expect(parseListing(body)).toEqual({ listed: [], skipped: [] });
  });

  it.each([
    ['id', { id: 'a', service_id: 'b', host: 'c' }, 'a'],
    ['service_id', { service_id: 'b', host: 'c' }, 'b'],
    ['service_id beside a null', { id: null, service_id: 'b', host: 'c' }, 'b'],
    ['host alone', { host: 'c' }, undefined],
  ])('knows a replica by its %s', (_field, fields, id) => {
    expect(only({ name: 'budgeting', port: 1, ...fields })?.registered).toMatchObject({ id, host: 'c' });
  });

  it.each([
    ['its host and port', { host: 'Budgeting', port: 8087 }, 'budgeting:8087', 'Budgeting', 8087],
    ['an IPv6 address', { host: '0::1', port: 8087 }, '[::1]:8087', '0::1', 8087],
    ['a URL alone', { url: 'http://budgeting:8087' }, 'budgeting:8087', 'budgeting', 8087],
    ['a URL without a port', { url: 'http://budgeting' }, 'budgeting', 'budgeting', 80],
    [
      'a host that nobody resolves, and a URL',
      { host: 'padstack.1', port: 8087, url: 'http://10.0.0.1:8087' },
      'padstack.1@10.0.0.1:8087',
      'padstack.1',
      8087,
    ],
  ])('tells a replica from others by %s', (_what, fields, key, host, port) => {
    expect(only({ name: 'budgeting', ...fields })).toMatchObject({ key, registered: { host, port } });
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
      'neither host nor url',
      { name: 'budgeting', port: 1 },
      'entry 1 ("budgeting"): it has neither url nor host and port',
    ],
    ['host without port', { ...ENTRY, port: undefined }, 'it has neither url nor host and port'],
    ['a second fault', { ...ENTRY, port: 0, name: '' }, '; port: Too small'],
    ['another scheme', { ...ENTRY, url: 'ftp://budgeting' }, 'url: expected an http or https origin'],
    ['a url with a path', { ...ENTRY, url: 'http://budgeting/api' }, 'url: expected an http or https origin'],
    [
      'a url with a user',
      { ...ENTRY, url: 'http://user@budgeting' },
      'url: expected an http or https origin',
    ],
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

  it('takes a replica that speaks TLS', () => {
    const { listed } = parseListing([{ ...ENTRY, url: 'https://budgeting:8443' }]);
    expect(listed.map(({ url }) => url.origin)).toEqual(['https://budgeting:8443']);
  });

  it('takes the last of several entries at the same host and port with the highest count, and says so', () => {
    const { listed, skipped } = parseListing([ENTRY, GOOD, { ...ENTRY, id: 'newer', request_count: 2 }]);
    expect(listed.map(({ registered, requestCount }) => [registered.id, requestCount])).toEqual([
      ['newer', 15],
      ['good', 15],
    ]);
    expect(skipped).toEqual([
      'entry 2 ("newer"): takes the place of an earlier entry at the same host and port',
    ]);
  });

  it.each([
    ['two ports of one host, without ids', [{ port: 1 }, { port: 2 }]],
    ['two services at one host and port', [{}, { name: 'sharing' }]],
    ['one id at two hosts', [{ id: 'budgeting' }, { id: 'budgeting', host: 'elsewhere' }]],
    ['one id at two ports', [{ id: 'budgeting' }, { id: 'budgeting', port: 2 }]],
  ])('takes %s for two replicas', (_what, entries) => {
    const { listed, skipped } = parseListing(entries.map((entry) => ({ ...ENTRY, id: undefined, ...entry })));
    expect(listed).toHaveLength(2);
    expect(skipped).toEqual([]);
  });

  it.each([
    ['HTML', '\n<!doctype html><title>Login</title>', 'got HTML "\\n<!doctype html><title>Login</title>"'],
    ['text', 'upstream connect error', 'got text "upstream connect error"'],
    ['a long text', 'x'.repeat(1000), `got text "${'x'.repeat(60)}..."`],
    ['an empty body', '', 'got nothing'],
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
    expect(listed.map(({ registered, url }) => [registered.id, url.hostname])).toEqual(
      ids.map((id) => [id, id]),
    );
  });
});
