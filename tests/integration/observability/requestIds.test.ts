import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { fieldValues } from '../../../lib/http/fields.ts';
import { RawClient, type RawResponse, request, sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { NEVER_LOGGED, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { PORTS, type Port } from '../../support/gateway/gatewayProcess.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import {
  hangs,
  refusedUrl,
  says,
  startRawUpstream,
  startUpstream,
  type Upstream,
} from '../../support/upstreams/upstream.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
/** An id that no other test sends. */
const GIVEN = 'checkin:call-7/ab+c=.X_';

const authorization = `Authorization: Bearer ${tokenFor('ann')}`;

let stack: AsyncDisposableStack;
let upstream: Upstream;
let hanging: Upstream;
let test: TestGateway;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  upstream = stack.use(
    await startUpstream((_req, res) => {
      res.setHeader('X-Request-Id', 'forged-by-the-service');
      res.setHeader('Cache-Control', 'max-age=60');
      res.end('ok');
    }),
  );
  hanging = stack.use(await startRawUpstream(hangs));
  const garbage = stack.use(await startRawUpstream(says('EHLO gateway\r\n\r\n')));
  const services = {
    '/up': [upstream],
    '/hanging': [hanging],
    '/garbage': [garbage],
    '/refusing': [refusedUrl()],
  };
  test = stack.use(await startGateway({ services }));
});
afterAll(() => stack.disposeAsync());

function send(port: Port, path: string, ...fields: readonly string[]): Promise<RawResponse> {
  const target = `${port === 'external' ? '' : '/internal'}${path}`;
  return sendRaw(test[port], request(`GET ${target}`, authorization, ...fields));
}

/** The one access line of the request with this id. */
async function accessLine(requestId: string | undefined): Promise<Record<string, unknown>> {
  const mine = () => test.logLines().filter((line) => line.requestId === requestId && 'seconds' in line);
  await eventually('its access line', () => mine().length > 0);
  expect(mine()).toHaveLength(1);
  return mine()[0] as Record<string, unknown>;
}

describe.each(PORTS)('on the %s port', (port) => {
  it('the service, the client and the log call a request the same', async () => {
    const answer = await send(port, '/up/same');
    const requestId = answer.field('X-Request-Id');
    expect(requestId).toMatch(UUID);
    expect(answer.fields.filter(([name]) => name.toLowerCase() === 'x-request-id')).toHaveLength(1);
    expect(fieldValues(upstream.requests.at(-1)?.fields ?? [], 'x-request-id')).toEqual([requestId]);
    expect(await accessLine(requestId)).toMatchObject({
      level: 'info',
      port,
      service: '/up',
      method: 'GET',
      status: 200,
      replica: upstream.url.hostname,
      seconds: expect.any(Number),
      ...(port === 'external' ? { cache: 'miss', subject: 'ann' } : {}),
    });
  });

  it.each([
    ['/nobody/x', 'no_such_service', 'none'],
    ['/refusing/x', 'upstream_unreachable', '/refusing'],
    ['/garbage/x', 'upstream_bad_response', '/garbage'],
    ['/up/%2e%2e/x', 'bad_request', 'none'],
  ] as const)('so does the reply of the gateway itself to %s', async (path, code, service) => {
    const answer = await send(port, path);
    await expectProblem(answer, code);
    expect(await accessLine(answer.field('X-Request-Id'))).toMatchObject({ port, service, code });
  });

  it('two requests on one connection have two names', async () => {
    using client = await RawClient.to(test[port]);
    const target = port === 'external' ? '/nobody' : '/internal/nobody';
    client.send(request(`GET ${target}`, 'Connection: keep-alive') + request(`GET ${target}`));
    await client.closed();
    const names = [...client.received.matchAll(/^X-Request-Id: (.*)\r$/gm)].map(([, name]) => name);
    expect(new Set(names).size).toBe(2);
  });

  it('a client that leaves before its response has a line that says so', async () => {
    using client = await RawClient.to(test[port]);
    const seen = hanging.requests.length;
    client.send(request(`GET ${port === 'external' ? '' : '/internal'}/hanging/${port}`, authorization));
    await eventually('the service is called', () => hanging.requests.length > seen);
    client.reset();
    const line = await accessLine(fieldValues(hanging.requests.at(-1)?.fields ?? [], 'x-request-id')[0]);
    expect(line).toMatchObject({ status: 0, service: '/hanging', replica: hanging.url.hostname });
    expect(line.message).toContain(`/hanging/${port} client gone in `);
    expect(line.code).toBeUndefined();
  });

  it('no line holds a query, a cookie, a field, a token or a password', async () => {
    const secrets = [
      `Cookie: session=${NEVER_LOGGED}`,
      `X-Api-Key: ${NEVER_LOGGED}`,
      `Proxy-Authorization: Basic ${NEVER_LOGGED}`,
      `Referer: http://x/?token=${NEVER_LOGGED}`,
      `User-Agent: ${NEVER_LOGGED}`,
      `X-Request-Id: ${NEVER_LOGGED} not well-formed`,
    ];
    for (const path of ['/up/x', '/nobody/x', '/refusing/x', '/garbage/x', '/up/%2e%2e/x']) {
      const answer = await send(port, `${path}?password=${NEVER_LOGGED}`, ...secrets);
      await accessLine(answer.field('X-Request-Id'));
    }
    await sendRaw(test[port], `GET /?${NEVER_LOGGED} HTTP/9.9\r\n${secrets.join('\r\n')}\r\n\r\n`);
    // In an absolute-form target nothing but the path may be kept either.
    const absolute = `GET http://ann:${NEVER_LOGGED}@elsewhere.test/up?${NEVER_LOGGED}`;
    await accessLine((await sendRaw(test[port], request(absolute))).field('X-Request-Id'));
    expect(JSON.stringify(test.logLines())).not.toContain(NEVER_LOGGED);
  });
});

describe('a name that is given', () => {
  it.each([GIVEN, 'a', '1'.repeat(128)])('is kept on the internal port: %s', async (given) => {
    const answer = await send('internal', '/up/x', `X-Request-Id: ${given}`);
    expect(answer.field('X-Request-Id')).toBe(given);
    expect(fieldValues(upstream.requests.at(-1)?.fields ?? [], 'x-request-id')).toEqual([given]);
    expect((await accessLine(given)).requestId).toBe(given);
  });

  it('is kept in the reply of the gateway itself', async () => {
    const given = 'call-8';
    const answer = await send('internal', '/nobody/x', `X-Request-Id: ${given}`);
    await expectProblem(answer, 'no_such_service');
    expect(answer.field('X-Request-Id')).toBe(given);
  });

  it.each([
    ['empty', ['X-Request-Id:']],
    ['too long', [`X-Request-Id: ${'1'.repeat(129)}`]],
    ['with a space', ['X-Request-Id: a b']],
    ['with a quote', ['X-Request-Id: a"b']],
    ['with a brace', ['X-Request-Id: {"a":1}']],
    ['with latin1', ['X-Request-Id: caf\xe9']],
    ['with a tab', ['X-Request-Id: a\tb']],
    ['with what a terminal obeys', ['X-Request-Id: \x9b31m']],
    ['twice', ['X-Request-Id: a', 'X-Request-Id: b']],
    ['with another spelling', ['X_Request_Id: a']],
  ])('%s is replaced on the internal port', async (_what, fields) => {
    const answer = await send('internal', '/up/x', ...fields);
    const requestId = answer.field('X-Request-Id');
    expect(requestId).toMatch(UUID);
    const received = upstream.requests.at(-1)?.fields ?? [];
    expect(fieldValues(received, 'x-request-id')).toEqual([requestId]);
    expect(fieldValues(received, 'x_request_id')).toEqual([]);
  });

  it('is replaced on the external port, however good it is', async () => {
    const answer = await send('external', '/up/x', `X-Request-Id: ${GIVEN}`);
    expect(answer.field('X-Request-Id')).toMatch(UUID);
    expect(fieldValues(upstream.requests.at(-1)?.fields ?? [], 'x-request-id')).not.toContain(GIVEN);
  });
});

describe('a cached response', () => {
  it('bears the name of who asks now, and is logged as a hit', async () => {
    const first = await send('external', '/up/cached');
    const second = await send('external', '/up/cached');
    expect(second.field('Cache-Status')).toContain('hit');
    expect(second.field('X-Request-Id')).not.toBe(first.field('X-Request-Id'));
    const line = await accessLine(second.field('X-Request-Id'));
    expect(line).toMatchObject({ status: 200, cache: 'hit', service: '/up' });
    expect(line.replica).toBeUndefined();
  });
});

it('below its level nothing is written, and nothing is made ready to be', async () => {
  await using quiet = await startGateway({ services: { '/up': [upstream] }, env: { LOG_LEVEL: 'error' } });
  const { logger } = quiet.gateway.parts;
  let written = 0;
  const { info } = logger;
  logger.info = ((...args: Parameters<typeof info>) => {
    written += 1;
    return info.apply(logger, args);
  }) as typeof info;
  const answer = await sendRaw(quiet.internal, request('GET /internal/up/x'));
  expect(answer.status).toBe(200);
  await eventually('it is counted', async () => (await quiet.metric('gateway_requests_total')) === 1);
  expect(written).toBe(0);
  expect(quiet.logLines()).toEqual([]);
});

describe('behind TRUSTED_PROXIES', () => {
  it.each([
    ['127.0.0.1', GIVEN],
    ['192.0.2.1', undefined],
  ])('%s a proxy at 127.0.0.1 names the request %p', async (proxies, kept) => {
    await using own = await startUpstream();
    const env = { TRUSTED_PROXIES: proxies };
    await using behind = await startGateway({ services: { '/up': [own] }, env });
    const answer = await sendRaw(
      behind.external,
      request('GET /up/proxied', authorization, `X-Request-Id: ${GIVEN}`, 'X-Forwarded-Prefix: /shop'),
    );
    const requestId = answer.field('X-Request-Id');
    expect(requestId).toEqual(kept ?? expect.stringMatching(UUID));
    const fields = own.requests[0]?.fields ?? [];
    expect(fieldValues(fields, 'x-request-id')).toEqual([requestId]);
    expect(fieldValues(fields, 'x-forwarded-prefix')).toEqual([kept ? '/shop/up' : '/up']);
  });
});
