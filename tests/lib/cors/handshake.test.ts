import { describe, expect, it } from '@jest/globals';
import { type CorsOptions, cors } from '../../../lib/cors/middleware.ts';
import { announcedFields, askedMethod } from '../../../lib/cors/preflight.ts';
import { request, sendRaw } from '../../support/clients/rawClient.ts';
import { bareApp } from '../../support/gateway/bareApp.ts';

const APP = 'https://app.faf.example';
const OWN = 'https://gateway.test';
const RULES: CorsOptions = {
  origins: [APP],
  credentials: false,
  methods: ['GET'],
  allowHeaders: undefined,
  exposeHeaders: [],
  maxAgeSeconds: 0,
};

/** The status of a handshake, which the handler behind refuses with 200; `code` of the error before. */
async function handshake(rules: Partial<CorsOptions>, ...fields: string[]) {
  await using app = await bareApp([cors({ ...RULES, ...rules }), (_req, res) => void res.end()], {
    upgrades: true,
  });
  const own = ['Connection: Upgrade', 'Upgrade: websocket'];
  const { status } = await sendRaw(app.url.origin, request('GET /', ...own, ...fields));
  return [status, ...app.errors.map(({ name }) => name)];
}

describe('a handshake', () => {
  const refused = [403, 'OriginNotAllowedError'];

  it.each(['Cookie: a=b', 'Authorization: Basic YTpi', 'Authorization: Negotiate x', 'Authorization: '])(
    'with %s needs an origin that is named, or the own one',
    async (credentials) => {
      expect(await handshake({}, credentials, `Origin: ${APP}`)).toEqual([200]);
      expect(await handshake({}, credentials, `Origin: ${OWN}`)).toEqual([200]);
      expect(await handshake({}, credentials)).toEqual([200]);
      for (const origin of ['https://evil.example', 'null', ''])
        expect(await handshake({}, credentials, `Origin: ${origin}`)).toEqual(refused);
      expect(await handshake({ origins: ['*'] }, credentials, `Origin: ${APP}`)).toEqual(refused);
      expect(await handshake({ origins: ['*'] }, credentials, `Origin: ${OWN}`)).toEqual([200]);
    },
  );

  it.each(['X-A: 1', 'Authorization: Bearer x', 'authorization: bearer x'])(
    'with %s alone does not',
    async (field) => {
      expect(await handshake({}, field, 'Origin: https://evil.example')).toEqual([200]);
      expect(await handshake({ origins: ['*'] }, field, `Origin: ${APP}`)).toEqual([200]);
    },
  );

  it('may have been asked by another host than it says', async () => {
    const hostOf = () => 'api.faf.example';
    expect(await handshake({ hostOf }, 'Cookie: a=b', 'Origin: https://api.faf.example')).toEqual([200]);
    expect(await handshake({ hostOf }, 'Cookie: a=b', `Origin: ${OWN}`)).toEqual(refused);
  });
});

it('a request that is no handshake passes whatever its origin is', async () => {
  await using app = await bareApp([cors(RULES), (_req, res) => void res.end()]);
  const fields = ['Origin: https://evil.example', 'Cookie: a=b'];
  expect((await sendRaw(app.url.origin, request('GET /', ...fields))).status).toBe(200);
});

it('a preflight is the gateway’s own response', async () => {
  await using app = await bareApp(cors(RULES));
  const asked = 'Access-Control-Request-Method: GET';
  await sendRaw(app.url.origin, request('OPTIONS /', `Origin: ${APP}`, asked));
  expect(app.exchanges[0]?.origin).toBe('gateway');
});

describe('what a preflight asks', () => {
  const headers = { origin: APP, 'access-control-request-method': 'PUT' };

  it('is the method', () => {
    expect(askedMethod({ method: 'OPTIONS', headers })).toBe('PUT');
    expect(askedMethod({ method: 'GET', headers })).toBe(undefined);
    expect(askedMethod({ method: 'OPTIONS', headers: { origin: APP } })).toBe(undefined);
    const { origin: _none, ...without } = headers;
    expect(askedMethod({ method: 'OPTIONS', headers: without })).toBe(undefined);
  });

  it('is the fields, in lower case', () => {
    const names = { 'access-control-request-headers': 'X-A, x-b,X-C ' };
    expect(announcedFields({ headers: names })).toEqual(new Set(['x-a', 'x-b', 'x-c']));
    expect(announcedFields({ headers: {} })).toEqual(new Set());
  });
});
