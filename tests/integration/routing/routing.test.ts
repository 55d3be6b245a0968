import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { fieldValue, fieldValues } from '../../../lib/http/fields.ts';
import { request, sendRaw } from '../../support/clients/rawClient.ts';
import { NEVER_LOGGED, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

const PORTS = ['external', 'internal'] as const;
const authorization = `Authorization: Bearer ${tokenFor('ann')}`;

describe.each(PORTS)('the router of the %s port', (port) => {
  const mount = port === 'external' ? '' : '/internal';
  let budgeting: Upstream;
  let raw: Upstream;
  let gateway: TestGateway;

  beforeAll(async () => {
    budgeting = await startUpstream();
    raw = await startUpstream();
    gateway = await startGateway({
      services: { '/budgeting': [budgeting], '/whole': { upstreams: [raw], stripPrefix: false } },
    });
  });
  afterAll(async () => {
    await gateway.stop();
    await budgeting[Symbol.asyncDispose]();
    await raw[Symbol.asyncDispose]();
  });

  const send = (target: string, method = 'GET', ...fields: string[]) =>
    sendRaw(
      gateway[port],
      request(`${method} ${target}`, authorization, 'Cache-Control: no-store', ...fields),
    );

  it.each([
    ['/budgeting/api/transactions', '/api/transactions'],
    ['/budgeting', '/'],
    ['/budgeting/', '/'],
    ['/budgeting?a=1', '/?a=1'],
    ['/budgeting/?a=1', '/?a=1'],
    ['/budgeting/x?a=1&a=2&b=%20+%2B&c', '/x?a=1&a=2&b=%20+%2B&c'],
    ['/budgeting/x?', '/x?'],
    ['/budgeting/x??a=?b', '/x??a=?b'],
    ['/budgeting/x?q=/../y', '/x?q=/../y'],
    ['/budgeting/x?q=%00%5c', '/x?q=%00%5c'],
    ['/budgeting/x?u=http://h/', '/x?u=http://h/'],
    ['/budgeting//x', '//x'],
    ['/budgeting//x//', '//x//'],
    ['/budgeting/%2f%2Fx', '/%2f%2Fx'],
    ['/budgeting/caf%C3%A9', '/caf%C3%A9'],
    ['/budgeting/%E0%A4%A', '/%E0%A4%A'],
    ['/budgeting/a%20b+c', '/a%20b+c'],
    ["/budgeting/~_-.!$&'()*+,;=:@", "/~_-.!$&'()*+,;=:@"],
    ['/budgeting/a;b=1/c', '/a;b=1/c'],
    ['/budgeting/...', '/...'],
    ['/budgeting/.well-known/x', '/.well-known/x'],
    ['/budgeting/{x}|^`"<>', '/{x}|^`"<>'],
    ['/budgeting/budgeting/x', '/budgeting/x'],
    ['/budgeting/metrics', '/metrics'],
    ['/budgeting/internal/budgeting', '/internal/budgeting'],
  ])('%s reaches the service as %s', async (target, expected) => {
    expect((await send(mount + target)).status).toBe(200);
    expect(budgeting.requests.at(-1)?.target).toBe(expected);
    expect(fieldValue(budgeting.requests.at(-1)?.fields ?? [], 'x-forwarded-prefix')).toBe(
      `${mount}/budgeting`,
    );
  });

  it.each([
    ['/whole/x?a=1', '/whole/x?a=1'],
    ['/whole', '/whole'],
    ['/whole//x', '/whole//x'],
    ['/whole?a', '/whole?a'],
  ])('with stripPrefix false %s reaches the service as %s', async (target, expected) => {
    expect((await send(mount + target)).status).toBe(200);
    expect(raw.requests.at(-1)?.target).toBe(expected);
    expect(fieldValue(raw.requests.at(-1)?.fields ?? [], 'x-forwarded-prefix')).toBe(mount || undefined);
  });

  it.each([
    '/',
    '//',
    '//budgeting/x',
    '/Budgeting/x',
    '/budgeting2/x',
    '/budgetin/x',
    '/budgeting%2Fx',
    '/%62udgeting/x',
    '/budgeting;a/x',
    '/internal',
    '/internal/metrics',
    '/metrics/x',
    '/healthz/',
    '/__proto__/x',
    '/constructor/x',
  ])('%s names no service', async (target) => {
    const before = budgeting.requests.length;
    await expectProblem(await send(mount + target), 'no_such_service');
    expect(budgeting.requests).toHaveLength(before);
  });

  it.each(['POST /metrics', 'DELETE /healthz', 'POST /readyz'])('%s names no service', async (line) => {
    const [method, target = ''] = line.split(' ');
    await expectProblem(await send(target, method), 'no_such_service');
  });

  it('knows a target in absolute-form by its path', async () => {
    const answer = await send(`http://gateway.test${mount}/budgeting/x?a=1`);
    expect(answer.status).toBe(200);
    expect(budgeting.requests.at(-1)?.target).toBe('/x?a=1');
    expect(fieldValues(budgeting.requests.at(-1)?.fields ?? [], 'host')).toEqual(['gateway.test']);
  });

  it.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'])('forwards %s', async (method) => {
    expect((await send(`${mount}/budgeting/x`, method)).status).toBe(200);
    expect(budgeting.requests.at(-1)?.method).toBe(method);
  });

  it('tells the service who asked, over which host and scheme, trusting nobody', async () => {
    await send(
      `${mount}/budgeting/x`,
      'GET',
      'X-Forwarded-For: 6.6.6.6',
      'X_Forwarded_For: 6.6.6.6',
      'X-Forwarded-Host: evil.test',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Prefix: /evil',
      'X-Real-IP: 6.6.6.6',
      'Forwarded: for=6.6.6.6',
    );
    const fields = budgeting.requests.at(-1)?.fields ?? [];
    expect(fieldValues(fields, 'x-forwarded-for')).toEqual(['127.0.0.1']);
    expect(fieldValues(fields, 'x-forwarded-host')).toEqual(['gateway.test']);
    expect(fieldValues(fields, 'x-forwarded-proto')).toEqual(['http']);
    expect(fieldValues(fields, 'x-forwarded-prefix')).toEqual([`${mount}/budgeting`]);
    expect(fieldValues(fields, 'forwarded')).toEqual(['for=127.0.0.1;host=gateway.test;proto=http']);
    expect(fields.join(' ')).not.toContain('6.6.6.6');
  });

  it('logs paths without their query', async () => {
    await send(`${mount}/budgeting/x?password=${NEVER_LOGGED}`);
    await send(`http://other.test${mount}/budgeting/x?password=${NEVER_LOGGED}`);
    await send(`${mount}/nobody?password=${NEVER_LOGGED}`);
  });
});

describe('the two ports', () => {
  it('do not mix: /internal is no service outside, and services need it inside', async () => {
    await using upstream = await startUpstream();
    await using gateway = await startGateway({ services: { '/budgeting': [upstream] } });
    for (const [port, target] of [
      ['external', '/internal/budgeting/x'],
      ['internal', '/budgeting/x'],
      ['internal', '/internal'],
      ['internal', '/internalbudgeting/x'],
      ['internal', '/internal/internal/budgeting/x'],
    ] as const) {
      await expectProblem(
        await sendRaw(gateway[port], request(`GET ${target}`, authorization)),
        'no_such_service',
      );
    }
    expect(upstream.requests).toHaveLength(0);
  });

  it('believe X-Forwarded fields of TRUSTED_PROXIES', async () => {
    await using upstream = await startUpstream();
    await using gateway = await startGateway({
      services: { '/budgeting': [upstream] },
      env: { TRUSTED_PROXIES: '127.0.0.1' },
    });
    await sendRaw(
      gateway.internal,
      request('GET /internal/budgeting/x', 'X-Forwarded-For: 6.6.6.6', 'X-Forwarded-Proto: https'),
    );
    const fields = upstream.requests[0]?.fields ?? [];
    expect(fieldValues(fields, 'x-forwarded-for')).toEqual(['6.6.6.6, 127.0.0.1']);
    expect(fieldValues(fields, 'x-forwarded-proto')).toEqual(['https']);
  });

  it('serve hundreds of services', async () => {
    await using upstream = await startUpstream();
    const services = Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`/service${n}`, [upstream]]));
    await using gateway = await startGateway({ services });
    const answers = Object.keys(services).map((path) => fetch(`${gateway.internal}/internal${path}/x`));
    for (const answer of await Promise.all(answers)) expect(answer.status).toBe(200);
  });
});
