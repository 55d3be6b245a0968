import { describe, expect, it } from '@jest/globals';
import { load, problemsOf } from '../../support/gateway/settings.ts';

function fileWith(own: string, routes = '', free = ''): string {
  return [
    'services:',
    `  - { name: shop, path: /shop, upstreams: [http://shop], ${own} routes: [${routes}] }`,
    '  - { name: shadow, path: /shadow, upstreams: [http://shadow] }',
    ...(free ? ['routes:', `  - ${free}`] : []),
  ].join('\n');
}

const wrongWith = (...parts: Parameters<typeof fileWith>) =>
  problemsOf({}, { 'gateway.yaml': fileWith(...parts) }).map((each) => each.replace(/^\S+ /, ''));

describe('mirror', () => {
  it.each([
    [
      'mirror: { service: shadwo },',
      '',
      '',
      'services[0].mirror.service is "shadwo", which is no service: expected one of shop, shadow',
    ],
    [
      'mirror: { service: shop },',
      '',
      '',
      'services[0].mirror.service is "shop": expected another service, since this one gets the requests themselves',
    ],
    [
      '',
      '{ match: { path: /a }, mirror: { service: shop } }',
      '',
      'services[0].routes[0].mirror.service is "shop": expected another service, since this one gets the requests themselves',
    ],
    [
      '',
      '',
      '{ match: { path: /a }, service: shadow, mirror: { service: shadow } }',
      'routes[0].mirror.service is "shadow": expected another service, since this one gets the requests themselves',
    ],
    [
      'mirror: { percent: 5 },',
      '',
      '',
      'services[0].mirror.service is missing: expected the name of a service',
    ],
    [
      'mirror: { service: shadow, percent: 101 },',
      '',
      '',
      'services[0].mirror.percent is 101: expected a number from 0 to 100',
    ],
    [
      'mirror: { service: shadow, percent: "5" },',
      '',
      '',
      'services[0].mirror.percent is "5": expected a number from 0 to 100',
    ],
    [
      'mirror: { service: shadow, body: 2MiB },',
      '',
      '',
      'services[0].mirror.body is "2MiB": expected a size in bytes such as 65536 or 64KiB, from 0 to 1MiB',
    ],
    [
      'mirror: { service: shadow, methods: [get] },',
      '',
      '',
      'services[0].mirror.methods[0] is "get": expected a list of methods in upper case, such as [GET]',
    ],
    [
      'mirror: true,',
      '',
      '',
      'services[0].mirror is true: expected off or an object such as { service: checkin-v2, percent: 5 }',
    ],
    [
      '',
      '{ match: { path: /a }, respond: { status: 503 }, mirror: { service: shadow } }',
      '',
      'services[0].routes[0].mirror stands beside respond: the gateway responds at once, and copies nothing (expected it on a route to a service)',
    ],
  ])('is refused: %s %s %s', (own, routes, free, problem) => {
    expect(wrongWith(own, routes, free)).toEqual([problem]);
  });

  it('is inherited, changed and taken away', () => {
    const text = fileWith(
      'mirror: { service: shadow, percent: 5, timeout: 1s },',
      '{ match: { path: /a }, mirror: { percent: 0.5, methods: [GET], body: 1KiB } }, { match: { path: /b }, mirror: off }',
    );
    const [shop, shadow] = load({}, { 'gateway.yaml': text }).services;
    const terms = {
      service: 'shadow',
      percent: 5,
      methods: undefined,
      maxBodyBytes: 65_536,
      timeoutMs: 1000,
    };
    expect(shop?.mirror).toEqual(terms);
    expect(shadow?.mirror).toBe(undefined);
    expect(shop?.routes.map(({ settings }) => settings.mirror)).toEqual([
      { ...terms, percent: 0.5, methods: ['GET'], maxBodyBytes: 1024 },
      undefined,
      terms,
    ]);
  });
});
