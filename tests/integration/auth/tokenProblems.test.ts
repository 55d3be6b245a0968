import { createHmac, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { eventually } from '../../support/eventually.ts';
import {
  bearer,
  keepSecret,
  startGateway,
  TEST_SECRET,
  type TestGateway,
  tokenFor,
} from '../../support/gateway/gateway.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { refusedUrl, startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

// Real sockets on a machine that may be busy.
jest.setTimeout(30_000);

const ADMIN_TOKEN = 'what-only-operators-know-here';
const LOGOUT = '/userManagement/auth/logout';
const NOW_SECONDS = Math.floor(Date.now() / 1000);
const clock = new ManualClock(NOW_SECONDS * 1000);

let service: Upstream;
let test: TestGateway;

beforeAll(async () => {
  service = await startUpstream();
  const services = { '/up': [service], '/userManagement': [service] };
  const env = { ADMIN_TOKEN, JWT_ISSUER: 'us', JWT_AUDIENCE: 'cab,tea' };
  test = await startGateway({ services, env, clock });
});
afterAll(async () => {
  await test.stop();
  await service[Symbol.asyncDispose]();
});

const ours = (claims: object = {}) => tokenFor('ann', { iss: 'us', aud: 'cab', ...claims });

function signed(header: object, payload: object): string {
  const parts = [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'));
  const signature = createHmac('sha256', TEST_SECRET).update(parts.join('.')).digest('base64url');
  return keepSecret([...parts, signature].join('.'));
}

async function lineOf(gateway: TestGateway, answer: Response): Promise<Record<string, unknown>> {
  const requestId = answer.headers.get('X-Request-Id');
  return eventually('the access line', () =>
    gateway.logLines().find((line) => line.requestId === requestId && line.method !== undefined),
  );
}

async function problemOf(authorization: string | undefined): Promise<unknown> {
  const answer = await fetch(`${test.external}/up/x`, {
    headers: authorization === undefined ? {} : { Authorization: authorization },
  });
  expect(answer.status).toBe(401);
  const line = await lineOf(test, answer);
  // The client learns no more than ever.
  expect(await answer.text()).not.toContain(String(line.tokenProblem));
  return line.tokenProblem;
}

describe('the access line says why a token was refused:', () => {
  it.each([
    ['no token', undefined, 'no Authorization field'],
    ['another scheme', 'Basic YTpi', 'the Authorization field is not of the Bearer scheme'],
    ['garbage', 'Bearer garbage', 'not a JWT: it does not have three parts'],
    ['another algorithm', `Bearer ${signed({ alg: 'HS512' }, {})}`, 'alg is "HS512"; expected HS256'],
    ['its signature', `Bearer ${ours().slice(0, -5)}AAAAA`, 'the signature does not match'],
    [
      'its end',
      `Bearer ${ours({ exp: NOW_SECONDS - 90 })}`,
      'the token expired 90 s ago; the clock tolerance is 5 s',
    ],
    [
      'its beginning',
      `Bearer ${ours({ nbf: NOW_SECONDS + 60 })}`,
      'the token is not valid for another 60 s (nbf); the clock tolerance is 5 s',
    ],
    ['its issuer', `Bearer ${ours({ iss: 'them' })}`, 'iss is "them"; expected "us"'],
    ['its audience', `Bearer ${ours({ aud: ['x'] })}`, 'aud is ["x"]; expected "cab" or "tea"'],
    [
      'nobody',
      `Bearer ${signed({ alg: 'HS256' }, { iss: 'us', aud: 'tea', exp: NOW_SECONDS + 60 })}`,
      'the token names nobody: it has none of the claims sub, uuid, user_id',
    ],
    ['no end', `Bearer ${signed({ alg: 'HS256' }, { iss: 'us', aud: 'tea', sub: 'a' })}`, 'exp is missing'],
  ])('%s', async (_what, authorization, problem) => {
    expect(await problemOf(authorization)).toBe(problem);
  });

  it('what the token says is cut short, and holds no control characters', async () => {
    const iss = `\u001b[31m\u202e\n${'x'.repeat(500)}`;
    expect(await problemOf(`Bearer ${ours({ iss })}`)).toMatch(
      /^iss is "\\u001b\[31m\u202e\\nx{40,60}\.\.\. \(\d+ characters\); expected "us"$/,
    );
    const raw = test.logLines().map((line) => JSON.stringify(line));
    expect(raw.some((line) => line.includes('\u001b'))).toBe(false);
  });

  it.each([
    [
      'logged out',
      async (token: string) => {
        await fetch(`${test.external}${LOGOUT}`, { method: 'POST', headers: bearer(token) });
      },
      'the token was logged out',
    ],
    [
      'revoked by itself',
      (token: string) => revoke({ token }),
      'the token was revoked by an operator, by itself',
    ],
    [
      'revoked by jti',
      (_token: string, jti: string) => revoke({ jti }),
      'the token was revoked by an operator, by its jti',
    ],
    [
      'revoked by subject',
      () => revoke({ subject: 'eve' }),
      'the token was revoked by an operator, by its subject',
    ],
  ])('%s', async (_how, revokeIt, problem) => {
    const jti = randomUUID();
    const token = ours({ sub: 'eve', jti, iat: NOW_SECONDS - 10 });
    await revokeIt(token, jti);
    expect(await problemOf(`Bearer ${token}`)).toBe(problem);
  });

  async function revoke(order: object): Promise<void> {
    const init = { method: 'POST', headers: bearer(ADMIN_TOKEN), body: JSON.stringify(order) };
    expect((await fetch(`${test.internal}/admin/revocations`, init)).status).toBe(201);
  }
});

it('keys that cannot be fetched are named with the reason, in the cause of the 503', async () => {
  const env = { JWKS_URL: `${refusedUrl().origin}/keys`, JWT_SECRET: '' };
  await using gateway = await startGateway({ services: { '/up': [service] }, env });
  const token = signed({ alg: 'RS256', kid: 'a' }, { sub: 'ann' });
  const answer = await fetch(`${gateway.external}/up/x`, { headers: bearer(token) });
  expect(await lineOf(gateway, answer)).toMatchObject({
    code: 'keys_unavailable',
    cause: 'the keys cannot be fetched: connect ECONNREFUSED 127.0.0.1:1',
  });
  await expectProblem(answer, 'keys_unavailable');
});

it('at debug each refusal has a line of its own, sampled or not', async () => {
  const env = { LOG_LEVEL: 'debug', ACCESS_LOG_SAMPLE: '0' };
  await using gateway = await startGateway({ services: { '/up': [service] }, env });
  const answer = await fetch(`${gateway.external}/up/x`, { headers: bearer('garbage') });
  const lines = gateway
    .logLines()
    .filter(({ requestId }) => requestId === answer.headers.get('X-Request-Id'));
  expect(lines).toMatchObject([
    {
      level: 'debug',
      message: 'JWT refused: token_invalid',
      tokenProblem: 'not a JWT: it does not have three parts',
    },
  ]);
});
