import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { settingsWarnings } from '../../../../config/report/warnings.ts';
import { stickyCookies } from '../../../../config/sections/stickyCookies.ts';
import { load, problemsOf } from '../../../support/gateway/settings.ts';

interface Levels {
  readonly defaults?: string;
  readonly service?: string;
  readonly route?: string;
}

function textOf({ defaults, service, route }: Levels): string {
  const says = (balance?: string) => (balance === undefined ? '' : `, balance: ${balance}`);
  return `defaults: { host: client${says(defaults)} }
services: [{ name: a, path: /a, upstreams: [http://a]${says(service)}, routes: [{ match: { path: /x }${says(route)} }] }]`;
}

function settingsOf(levels: Levels) {
  return load({}, { 'gateway.yaml': textOf(levels) });
}

describe('balance', () => {
  it.each([
    ['least-load', { by: 'load' }],
    ['{ sticky: cookie }', { by: 'cookie', cookie: undefined }],
    ['{ sticky: "cookie:node" }', { by: 'cookie', cookie: 'node' }],
    ['{ hash: subject }', { by: 'subject' }],
    ['{ hash: address }', { by: 'address' }],
    ['{ hash: "header:X-Room" }', { by: 'header', header: 'x-room' }],
  ])('may be %s', (service, balance) => {
    expect(settingsOf({ service }).services[0]?.balance).toEqual(balance);
  });

  const ONE = 'expected least-load, { sticky: cookie } or { hash: subject | address | header:<name> }';
  const STICKY = 'expected cookie or cookie:<name>, with the name of a cookie that does not begin with __';
  const HASH = 'expected subject, address or header:<name>';

  it.each([
    ['round-robin', `services[0].balance is "round-robin": ${ONE}`],
    ['{}', `services[0].balance is {}: ${ONE}`],
    [
      '{ sticky: cookie, hash: subject }',
      `services[0].balance is {"sticky":"cookie","hash":"subject"}: ${ONE}`,
    ],
    ['{ sticky: true }', `services[0].balance.sticky is true: ${STICKY}`],
    ['{ sticky: "cookie:a b" }', `services[0].balance.sticky is "cookie:a b": ${STICKY}`],
    ['{ sticky: "cookie:" }', `services[0].balance.sticky is "cookie:": ${STICKY}`],
    ['{ sticky: "cookie:__Host-a" }', `services[0].balance.sticky is "cookie:__Host-a": ${STICKY}`],
    ['{ hash: "header:" }', `services[0].balance.hash is "header:": ${HASH}`],
    ['{ hash: cookie }', `services[0].balance.hash is "cookie": ${HASH}`],
    ['{ hahs: subject }', `services[0].balance is {"hahs":"subject"}: ${ONE}`],
  ])('is not %s', (service, problem) => {
    const found = problemsOf({}, { 'gateway.yaml': textOf({ service }) });
    expect(found.map((each) => each.replace(/^gateway.yaml:\d+:\d+: /, ''))).toEqual([problem]);
  });

  it('is that of the innermost level, whole', () => {
    const { services } = settingsOf({ defaults: '{ sticky: cookie }', service: '{ hash: subject }' });
    expect([services[0]?.balance, services[0]?.routes[0]?.settings.balance]).toEqual([
      { by: 'subject' },
      { by: 'subject' },
    ]);
    const own = settingsOf({ defaults: '{ sticky: cookie }', route: 'least-load' }).services[0];
    expect([own?.balance.by, own?.routes[0]?.settings.balance.by]).toEqual(['cookie', 'load']);
  });

  it('says nothing of who is let in: a route with another one is for its path byte for byte', () => {
    expect(settingsOf({ route: '{ hash: subject }' }).services[0]?.routes[0]?.spelling).toBe('exact');
  });

  it('has one cookie for a service and its routes', () => {
    const cookie = { name: 'replica-a', service: '/a', path: '/a' };
    expect(stickyCookies(settingsOf({ service: '{ sticky: cookie }' }))).toEqual([cookie]);
    expect(stickyCookies(settingsOf({ route: '{ sticky: cookie }' }))).toEqual([cookie]);
    expect(stickyCookies(settingsOf({ service: '{ hash: subject }' }))).toEqual([]);
  });

  it('by cookie without a secret that outlives the process is a warning', () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
    const env = { JWT_SECRET: '', JWT_PUBLIC_KEY: pem };
    const warningsFor = (levels: Levels, more: NodeJS.ProcessEnv = {}) => {
      const all = { ...env, ...more };
      const settings = load(all, { 'gateway.yaml': textOf(levels) });
      const warnings = settingsWarnings({ env: all, dotenv: {}, settings });
      return warnings.filter((warning) => warning.startsWith('STICKY_SECRET'));
    };
    const warning =
      'STICKY_SECRET is not set, nor is JWT_SECRET: the cookies of balance: sticky are good until the gateway restarts, and at no other gateway';
    expect(warningsFor({ route: '{ sticky: cookie }' })).toEqual([warning]);
    expect(warningsFor({ service: '{ hash: subject }' })).toEqual([]);
    expect(warningsFor({ service: '{ sticky: cookie }' }, { STICKY_SECRET: 'x' })).toEqual([]);
  });
});
