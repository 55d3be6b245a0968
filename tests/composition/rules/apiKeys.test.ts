import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import { fieldValue } from '../../../lib/http/fields.ts';
import { ADMIN_TOKEN, makeKey, revokeKey, rotateKey, withKey } from '../../support/clients/apiKeys.ts';
import { answerTo, call, open } from '../../support/clients/client.ts';
import { eventually } from '../../support/eventually.ts';
import {
  bearer,
  startGateway,
  type TestGateway,
  type TestGatewayOptions,
  tokenFor,
} from '../../support/gateway/gateway.ts';
import { expectNothingHeld } from '../../support/gateway/nothingHeld.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { startGated } from '../../support/upstreams/gated.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';
import { startSocketService } from '../../support/upstreams/webSocket.ts';
import { composedAgain } from './composedAgain.ts';

const KEYS = { sources: ['bearer', 'apiKey'] };
const BAD = { 'X-Api-Key': 'fafkey_nobody' };
const LARGE = Buffer.alloc(8 * 2 ** 20, 'large ');
const env = { ADMIN_TOKEN };

type Service = TestGatewayOptions['services'][string] & object;

const start = (service: Service, more: Partial<TestGatewayOptions> = {}) =>
  startGateway({
    services: { '/jobs': { auth: KEYS, ...service } as Service },
    ...more,
    env: { ...env, ...more.env },
  });

const get = ({ external }: Pick<TestGateway, 'external'>, path: string, headers: Record<string, string>) =>
  call(`${external}${path}`, { headers });
const statusOf = async (...asked: Parameters<typeof get>) => (await get(...asked)).status;

describe('API keys', () => {
  it.each(['defaults', 'service', 'route'] as const)('named by %s are taken on a route', async (level) => {
    await using jobs = await startUpstream();
    const at = (each: typeof level) => (each === level ? { auth: KEYS } : {});
    await using gateway = await startGateway({
      defaults: at('defaults'),
      services: {
        '/jobs': {
          upstreams: [jobs],
          ...at('service'),
          routes: [
            { match: { path: '/a/**' }, ...at('route') },
            { match: { path: '/users/**' }, auth: { sources: ['bearer'] } },
            { match: { path: '/other/**' }, auth: { sources: ['apiKey:X-Job-Key'] } },
            { match: { path: '/free/**' }, auth: 'none' },
          ],
        },
      },
      env,
    });
    const { key } = await makeKey(gateway.internal);
    const statuses = async (headers: Record<string, string>) => {
      const each = [];
      for (const path of ['a', 'x', 'users', 'other', 'free']) {
        each.push(await statusOf(gateway, `/jobs/${path}/1`, headers));
      }
      return each;
    };
    const rest = level === 'route' ? 401 : 200;
    expect(await statuses(withKey(key))).toEqual([200, rest, 401, 401, 200]);
    expect(await statuses({ 'X-Job-Key': key })).toEqual([401, 401, 401, 200, 200]);
  });

  it('get no permit of each other, and a wrong one gives its permit back', async () => {
    await using jobs = await startGated();
    await using gateway = await start({ upstreams: [jobs], cacheTtl: 'off', limits: { concurrency: 2 } });
    const [one, other] = [await makeKey(gateway.internal), await makeKey(gateway.internal)];
    for (let n = 0; n < 5; n += 1) expect(await statusOf(gateway, '/jobs/x', BAD)).toBe(401);
    await expectNothingHeld(gateway);
    const first = statusOf(gateway, '/jobs/1', withKey(one.key));
    await eventually('it is there', () => jobs.waiting.length === 1);
    const second = statusOf(gateway, '/jobs/2', withKey(other.key));
    await eventually('both are there', () => jobs.waiting.length === 2);
    expect(await statusOf(gateway, '/jobs/3', withKey(one.key))).toBe(429);
    while (jobs.waiting.length > 0) jobs.answerOne();
    expect([await first, await second]).toEqual([200, 200]);
  });

  it('have a fair share each, while another key asks', async () => {
    await using jobs = await startGated();
    await using gateway = await start(
      { upstreams: [jobs], cacheTtl: 'off' },
      { env: { REQUEST_TIMEOUT: '60s' } },
    );
    const [greedy, other] = [await makeKey(gateway.internal), await makeKey(gateway.internal)];
    const ask = ({ key }: { key: string }) => get(gateway, '/jobs/x', withKey(key));
    const asked = [ask(other)];
    await eventually('one of the other', () => jobs.waiting.length === 1);
    const codes: string[] = [];
    for (let n = 0; n < 12; n += 1) {
      asked.push(
        ask(greedy).then((response) => {
          if (response.status !== 200) codes.push(JSON.parse(response.body.toString()).code);
          return response;
        }),
      );
    }
    await eventually('a share of eight is used', () => codes.length === 4);
    expect(codes).toEqual(Array(4).fill('fair_share_used'));
    asked.push(ask(other));
    await eventually('the other has room', () => jobs.waiting.length === 10);
    while (jobs.waiting.length > 0) jobs.answerOne();
    const statuses = (await Promise.all(asked)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(10);
  });

  it('are the same caller at both replicas of a hedged request, which get no key', async () => {
    const held: ServerResponse[] = [];
    let isHeld = false;
    const replica = () => startUpstream((_req, res) => void (isHeld ? held.push(res) : res.end('ok')));
    await using one = await replica();
    await using other = await replica();
    const clock = new ManualClock();
    await using gateway = await start({ upstreams: [one, other], cacheTtl: 'off' }, { clock });
    const { key, id } = await makeKey(gateway.internal);
    for (let n = 0; n < 4; n += 1) expect(await statusOf(gateway, `/jobs/${n}`, withKey(key))).toBe(200);
    await expectNothingHeld(gateway);
    clock.advance(1);
    isHeld = true;
    const hedged = statusOf(gateway, '/jobs/hedged', withKey(key));
    await eventually('one has it', () => held.length === 1);
    // Half of REQUEST_TIMEOUT.
    clock.advance(1_500);
    await eventually('the other has it, too', () => held.length === 2);
    held[1]?.end('ok');
    expect(await hedged).toBe(200);
    held[0]?.end();
    for (const { requests } of [one, other]) {
      const { fields } = requests.find(({ target }) => target === '/hedged') ?? { fields: [] };
      expect([fieldValue(fields, 'x-auth-subject'), fieldValue(fields, 'x-api-key')]).toEqual([
        `apikey:${id}`,
        undefined,
      ]);
    }
  });

  it('are sent to no mirror, which is told who it is', async () => {
    await using jobs = await startUpstream();
    await using next = await startUpstream();
    await using gateway = await startGateway({
      services: { '/jobs': { upstreams: [jobs], auth: KEYS, mirror: { service: 'next' } }, '/next': [next] },
      env,
    });
    const { key, id } = await makeKey(gateway.internal);
    expect(await statusOf(gateway, '/jobs/x', withKey(key))).toBe(200);
    expect(await statusOf(gateway, '/jobs/y', BAD)).toBe(401);
    await eventually('the copy', () => next.requests.length > 0);
    const [copy] = next.requests;
    expect(fieldValue(copy?.fields ?? [], 'x-auth-subject')).toBe(`apikey:${id}`);
    expect(fieldValue(copy?.fields ?? [], 'x-api-key')).toBeUndefined();
    expect([jobs.requests.length, next.requests.length]).toEqual([1, 1]);
  });

  it('belong to one side of a split, the same after a rotation', async () => {
    await using one = await startUpstream((_req, res) => void res.end('one'));
    await using two = await startUpstream((_req, res) => void res.end('two'));
    const split = [
      { service: 'one', weight: 1 },
      { service: 'two', weight: 1 },
    ];
    await using gateway = await startGateway({
      services: {
        '/one': { upstreams: [one], cacheTtl: 'off' },
        '/two': { upstreams: [two], cacheTtl: 'off' },
      },
      routes: [{ match: { path: '/both/**' }, split, auth: KEYS }],
      env,
    });
    const seen = new Set<string>();
    for (let n = 0; n < 20; n += 1) {
      const made = await makeKey(gateway.internal);
      const next = await rotateKey(gateway.internal, made.id, 60);
      const sides = [];
      for (const { key } of [made, next]) {
        sides.push(String((await get(gateway, '/both/x', withKey(key))).body));
      }
      expect(new Set(sides).size).toBe(1);
      seen.add(String(sides[0]));
    }
    expect([...seen].sort()).toEqual(['one', 'two']);
    expect([...one.requests, ...two.requests].some(({ fields }) => fields.includes('x-api-key'))).toBe(false);
  });

  it('let large content in and out whole, and a wrong one is told so while it sends', async () => {
    await using jobs = await startUpstream((_req, res) => void res.end(LARGE));
    await using gateway = await start({ upstreams: [jobs], limits: { body: '16MiB' } });
    const { key } = await makeKey(gateway.internal);
    const upload = (headers: Record<string, string>) =>
      call(`${gateway.external}/jobs/x`, { method: 'PUT', headers, body: LARGE });
    const { status, body } = await upload(withKey(key));
    expect([status, body.equals(LARGE), jobs.requests[0]?.body.equals(LARGE)]).toEqual([200, true, true]);
    const refused = await upload(BAD);
    expect([refused.status, JSON.parse(refused.body.toString()).code]).toEqual([401, 'api_key_invalid']);
    expect(jobs.requests).toHaveLength(1);
  });

  it('that end leave an upload under way its response', async () => {
    await using jobs = await startUpstream(
      (req, res) => {
        req.resume().on('end', () => res.end('stored'));
      },
      { readsBody: false },
    );
    await using gateway = await start({ upstreams: [jobs] });
    const { key, id } = await makeKey(gateway.internal);
    const req = open(`${gateway.external}/jobs/x`, { method: 'PUT', headers: withKey(key) });
    req.write('half');
    await eventually('the service has it', () => jobs.requests.length === 1);
    await revokeKey(gateway.internal, id);
    await eventually('it is known', async () => (await statusOf(gateway, '/jobs/y', withKey(key))) === 401);
    req.end('the rest');
    expect((await answerTo(req)).statusCode).toBe(200);
  });

  it('that end cut a compressed response, and its coder and permits are free', async () => {
    await using jobs = await startUpstream((_req, res) => {
      res.writeHead(200, { 'Content-Type': 'application/json' }).write('[1,');
    });
    await using gateway = await start({ upstreams: [jobs], cacheTtl: 'off', compress: 'on' });
    const { key, id } = await makeKey(gateway.internal);
    const headers = { ...withKey(key), 'Accept-Encoding': 'gzip' };
    const response = await answerTo(open(`${gateway.external}/jobs/x`, { headers }).end());
    expect(response.headers['content-encoding']).toBe('gzip');
    await once(response, 'data');
    const broken = once(
      response.on('data', () => {}),
      'error',
    );
    await revokeKey(gateway.internal, id);
    await broken;
    expect(response.complete).toBe(false);
    await eventually('the coder to be free', () => gateway.gateway.parts.coding.limit.held === 0);
    await expectNothingHeld(gateway);
  });

  it('are known, and end streams and WebSockets, where their chain is composed anew', async () => {
    await using sockets = await startSocketService();
    await using jobs = await startUpstream((_req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: 0\n\n');
    });
    await using gateway = await startGateway({
      services: { '/jobs': { upstreams: [jobs], auth: KEYS }, '/chat': { upstreams: [sockets], auth: KEYS } },
      env,
    });
    await using again = await composedAgain(gateway);
    const { key, id } = await makeKey(gateway.internal);
    const other = await makeKey(gateway.internal);
    const stream = async (text: string) => {
      const request = open(`${again.external}/jobs/x`, { headers: withKey(text) }).end();
      const response = await answerTo(request);
      response.on('error', () => {}).resume();
      return response;
    };
    const [cut, kept] = [await stream(key), await stream(other.key)];
    const socket = new WebSocket(`${again.external.replace('http', 'ws')}/chat/x`, { headers: withKey(key) });
    socket.on('error', () => {});
    await once(socket, 'open');
    const closed = once(socket, 'close');
    await revokeKey(gateway.internal, id);
    await closed;
    await eventually('the stream is cut', () => cut.destroyed && !cut.complete);
    expect(kept.destroyed).toBe(false);
    expect(await statusOf(again, '/jobs/x', withKey(key))).toBe(401);
    kept.destroy();
  });
});

it('who brings no key where one will do is asked for either, whatever else holds', async () => {
  await using jobs = await startUpstream();
  await using gateway = await start({
    upstreams: [jobs],
    compress: 'on',
    cors: { origins: ['https://app.faf.example'] },
    limits: { rate: { per: 'address', limit: '2/1h' } },
  });
  const origin = { Origin: 'https://app.faf.example' };
  const missing = await get(gateway, '/jobs/x', origin);
  expect([missing.status, missing.headers['www-authenticate']]).toEqual([
    401,
    'Bearer, ApiKey field="x-api-key"',
  ]);
  // A page can read it, and it has counted for the address.
  expect(missing.headers['access-control-allow-origin']).toBe('https://app.faf.example');
  expect(await statusOf(gateway, '/jobs/x', bearer(tokenFor('ann')))).toBe(200);
  expect(await statusOf(gateway, '/jobs/x', bearer(tokenFor('ann')))).toBe(429);
});
