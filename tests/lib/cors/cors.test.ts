import type { ServerResponse } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { type CorsOptions, cors } from '../../../lib/cors/middleware.ts';
import { fieldsByName } from '../../../lib/http/fields.ts';
import { type CallResponse, call } from '../../support/clients/client.ts';
import { bareApp } from '../../support/gateway/bareApp.ts';

const APP = 'https://app.faf.example';
const RULES: CorsOptions = {
  origins: [APP],
  credentials: false,
  methods: ['GET', 'DELETE'],
  allowHeaders: undefined,
  exposeHeaders: ['X-Request-Id'],
  maxAgeSeconds: 600,
};

async function answerTo(
  rules: Partial<CorsOptions>,
  { method = 'GET', ...headers }: Record<string, string>,
  write: (res: ServerResponse) => void = (res) => void res.end('ok'),
): Promise<CallResponse> {
  await using app = await bareApp([cors({ ...RULES, ...rules }), (_req, res) => write(res)]);
  return await call(app.url, { method, headers });
}

/** The fields that CORS is about. */
async function said(...args: Parameters<typeof answerTo>): Promise<Record<string, string>> {
  const { fields } = await answerTo(...args);
  const all = Object.entries(fieldsByName(fields));
  return Object.fromEntries(all.filter(([name]) => name === 'vary' || name.startsWith('access-control-')));
}

const preflight = (fields: Record<string, string> = {}) => ({
  method: 'OPTIONS',
  Origin: APP,
  'Access-Control-Request-Method': 'DELETE',
  ...fields,
});

describe('a response', () => {
  it('may be read by pages of an origin that is allowed', async () => {
    expect(await said({}, { Origin: APP })).toEqual({
      vary: 'Origin',
      'access-control-allow-origin': APP,
      'access-control-expose-headers': 'X-Request-Id',
    });
    expect(await said({ credentials: true }, { Origin: APP })).toMatchObject({
      'access-control-allow-credentials': 'true',
    });
  });

  it('says nothing to others, but that it depends on the origin', async () => {
    expect(await said({}, { Origin: 'https://evil.example' })).toEqual({ vary: 'Origin' });
    expect(await said({}, {})).toEqual({ vary: 'Origin' });
  });

  it('is the same for everybody where all are allowed', async () => {
    const all = { 'access-control-allow-origin': '*', 'access-control-expose-headers': 'X-Request-Id' };
    expect(await said({ origins: ['*'] }, { Origin: APP })).toEqual(all);
    expect(await said({ origins: ['*'] }, {})).toEqual(all);
  });

  it.each<[string, (res: ServerResponse) => void]>([
    ['in one list', (res) => void res.writeHead(200, own()).end()],
    [
      'one by one',
      (res) => {
        const fields = own();
        for (let i = 0; i < fields.length; i += 2)
          res.appendHeader(fields[i] as string, fields[i + 1] as string);
        res.end();
      },
    ],
  ])('has none of what its writer says itself, %s', async (_how, write) => {
    expect(await said({}, { Origin: APP }, write)).toEqual({
      vary: 'Accept, Accept-Language, Origin',
      'access-control-allow-origin': APP,
      'access-control-expose-headers': 'X-Request-Id',
    });
    expect(await said({}, { Origin: 'https://evil.example' }, write)).toEqual({
      vary: 'Accept, Accept-Language, Origin',
    });
  });

  it.each([
    ['Origin', 'Origin'],
    ['Accept, origin', 'Accept, origin'],
    ['*', '*'],
    ['', 'Origin'],
    ['X-Origin', 'X-Origin, Origin'],
    ['Accept', 'Accept, Origin'],
  ])('with Vary: %s has Vary: %s', async (vary, expected) => {
    const write = (res: ServerResponse) => void res.writeHead(200, { Vary: vary }).end();
    for (const _ of [1, 2]) expect((await said({}, { Origin: APP }, write)).vary).toBe(expected);
  });

  it('has its own Vary looked at, whatever the one before said', async () => {
    let vary = '';
    await using app = await bareApp([
      cors(RULES),
      (_req, res) => void res.writeHead(200, { Vary: vary }).end(),
    ]);
    const said: unknown[] = [];
    for (vary of ['Origin', '', 'Accept', 'Origin', 'Accept']) said.push((await call(app.url)).headers.vary);
    expect(said).toEqual(['Origin', 'Origin', 'Accept, Origin', 'Origin', 'Accept, Origin']);
  });
});

describe('a preflight', () => {
  it('is answered, without content', async () => {
    const answer = await answerTo({}, preflight({ 'Access-Control-Request-Headers': 'authorization,x-a' }));
    expect(answer).toMatchObject({ status: 204, body: Buffer.alloc(0) });
    expect(fieldsByName(answer.fields)).toMatchObject({
      vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
      'access-control-allow-origin': APP,
      'access-control-allow-methods': 'GET, DELETE',
      'access-control-allow-headers': 'authorization,x-a',
      'access-control-max-age': '600',
    });
    expect(answer.headers['content-length']).toBe(undefined);
  });

  it('of another origin is told nothing', async () => {
    expect(await said({ credentials: true }, preflight({ Origin: 'https://evil.example' }))).toEqual({
      vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
    });
  });

  it('is told of the fields that may be sent, where they are listed', async () => {
    const asked = preflight({ 'Access-Control-Request-Headers': 'x-evil' });
    expect(await said({ allowHeaders: ['Content-Type', 'Authorization'] }, asked)).toMatchObject({
      'access-control-allow-headers': 'Content-Type, Authorization',
    });
  });

  it('is not told what is no list of names', async () => {
    for (const names of ['a b', 'a,,b', 'x:y', ''])
      expect(await said({}, preflight({ 'Access-Control-Request-Headers': names }))).not.toHaveProperty([
        'access-control-allow-headers',
      ]);
  });

  it('may be told the same as all others', async () => {
    expect(await said({ origins: ['*'] }, preflight())).toMatchObject({
      vary: 'Access-Control-Request-Method, Access-Control-Request-Headers',
      'access-control-allow-origin': '*',
    });
  });

  it('asks for a method, from an origin: any other OPTIONS goes on', async () => {
    for (const { method, ...without } of [
      { method: 'OPTIONS', Origin: APP },
      { method: 'OPTIONS', 'Access-Control-Request-Method': 'GET' },
    ])
      expect((await answerTo({}, { method, ...(without as Record<string, string>) })).status).toBe(200);
    const other = { isForPreflight: () => false };
    expect(await answerTo(other, preflight())).toMatchObject({ status: 200 });
    expect(await said(other, preflight())).toMatchObject({ 'access-control-allow-origin': APP });
  });
});

/** What a service that does CORS itself sends. */
function own(): string[] {
  return [
    ...['Vary', 'Accept', 'access-control-allow-origin', '*', 'Vary', 'Accept-Language'],
    ...['ACCESS-CONTROL-ALLOW-CREDENTIALS', 'true', 'Access-Control-Allow-Origin', 'https://evil.example'],
    ...['Access-Control-Expose-Headers', 'X-Own', 'Access-Control-Allow-Private-Network', 'true'],
  ];
}
