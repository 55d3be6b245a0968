import { describe, expect, it } from '@jest/globals';
import { isPublicName } from '../../../lib/crosssite/publicName.ts';
import { crossSiteRefusal } from '../../../lib/crosssite/refusal.ts';

const refusalOf = crossSiteRefusal({ names: ['gateway.faf.example'] });
const codeOf = (headers: Record<string, string>) =>
  (refusalOf({ headers }) as { code?: string } | undefined)?.code;

const CHROME = { 'accept-language': 'en-US,en;q=0.9', 'user-agent': 'Mozilla/5.0' };
const UNDICI = { 'accept-language': '*', 'sec-fetch-mode': 'cors', 'user-agent': 'node' };

describe('names', () => {
  it.each([
    'localhost',
    'localhost:8001',
    'api-gateway',
    'gateway-stack_api-gateway:8001',
    'tasks.api-gateway:8001',
    'gateway.faf.svc',
    'gateway.faf.svc.cluster.local',
    'gateway.faf.svc.cluster.local.:8001',
    'printer.local',
    'gateway.internal',
    'app.localhost:3000',
    '127.0.0.1:8001',
    '10.0.0.5',
    '[::1]:8001',
    '[fd00::1]',
    '2130706433',
    '0x7f.1',
    'gateway.ns1',
    '',
  ])('%j is not public', (host) => {
    expect(isPublicName(host)).toBe(false);
  });

  it.each([
    'evil.example',
    'evil.example:8001',
    'EVIL.Example.',
    'a.b.c.com',
    'gateway.dev',
    'x.xn--p1ai',
    'local.evil.com',
  ])('%j may be', (host) => {
    expect(isPublicName(host)).toBe(true);
  });
});

describe('programs are let through', () => {
  it.each<[string, Record<string, string>]>([
    ['curl', { host: 'evil.example', 'user-agent': 'curl/8', accept: '*/*' }],
    ["Node's fetch", { host: 'gateway.example.com:8001', ...UNDICI }],
    ["Node's WebSocket", { host: 'gateway.example.com:8001', ...UNDICI, 'sec-fetch-mode': 'websocket' }],
    ['axios', { host: 'api-gateway:8001', accept: 'application/json', 'user-agent': 'axios/1' }],
    ['one that passes on the language', { host: 'api-gateway:8001', 'accept-language': 'ro' }],
    ['HTTP/1.0', {}],
  ])('%s', (_what, headers) => {
    expect(codeOf(headers)).toBeUndefined();
  });
});

describe('browsers', () => {
  it.each<[Record<string, string>, string | undefined]>([
    [{ host: 'localhost:8001', 'sec-fetch-site': 'none' }, undefined],
    [{ host: 'localhost:8001', 'sec-fetch-site': 'same-origin' }, undefined],
    [{ host: 'localhost:8001', 'sec-fetch-site': 'same-site' }, 'cross_site'],
    [{ host: 'localhost:8001', 'sec-fetch-site': 'cross-site' }, 'cross_site'],
    [{ host: 'localhost:8001', 'sec-fetch-site': 'none, none' }, 'cross_site'],
    [{ host: 'localhost:8001', 'sec-fetch-site': '' }, 'cross_site'],
    [{ host: 'localhost:8001', origin: 'http://localhost:8001' }, undefined],
    [{ host: 'LocalHost:8001', origin: 'https://localhost:8001' }, undefined],
    [{ host: 'localhost:8001', origin: 'http://localhost:3000' }, 'cross_site'],
    [{ host: 'localhost:8001', origin: 'https://evil.example' }, 'cross_site'],
    [{ host: 'localhost:8001', origin: 'null' }, 'cross_site'],
    [{ host: 'localhost:8001', origin: '' }, 'cross_site'],
    [{ host: 'localhost:8001', origin: 'http://localhost:8001/' }, 'cross_site'],
    [{ origin: 'http://undefined' }, 'cross_site'],
    [{ host: 'evil.example:8001' }, 'foreign_host'],
    [{ host: 'evil.example:8001', origin: 'http://evil.example:8001' }, 'foreign_host'],
    [{ host: 'evil.example:8001', 'accept-language': '*', 'user-agent': 'node' }, 'foreign_host'],
    [
      { host: 'evil.example:8001', 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' },
      'foreign_host',
    ],
    [{ host: 'Gateway.faf.example:8001' }, undefined],
    [{ host: 'other.faf.example:8001' }, 'foreign_host'],
    [{ host: '10.0.0.5:8001' }, undefined],
  ])('%j: %s', (headers, code) => {
    expect(codeOf({ ...CHROME, ...headers })).toBe(code);
  });
});
