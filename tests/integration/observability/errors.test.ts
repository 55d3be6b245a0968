import { describe, expect, it } from '@jest/globals';
import type { Gateway } from '../../../gateway/gateway.ts';
import { type RawResponse, request, sendRaw } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, NOBODY, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { expectProblem, type ProblemCode, TABLE } from '../../support/gateway/problem.ts';
import { ManualClock } from '../../support/manualClock.ts';
import {
  hangs,
  refusedUrl,
  says,
  startRawUpstream,
  startUpstream,
} from '../../support/upstreams/upstream.ts';

type Port = 'external' | 'internal';
const PORTS = ['external', 'internal'] as const;
const REQUEST_TIMEOUT_MS = 3_000;

/** A gateway whose upstreams fail each in its own way. */
interface World extends AsyncDisposable {
  readonly test: TestGateway;
  readonly gateway: Gateway;
  readonly clock: ManualClock;
  /** Sends a request with a good token on the external port. */
  ask(port: Port, path: string, method?: string, fields?: Record<string, string>): Promise<Response>;
}

async function startWorld(env: Record<string, string> = {}): Promise<World> {
  const stack = new AsyncDisposableStack();
  const clock = new ManualClock();
  const up = stack.use(await startUpstream());
  const hanging = stack.use(await startRawUpstream(hangs));
  const garbage = stack.use(await startRawUpstream(says('EHLO gateway\r\n\r\n')));
  const failing = stack.use(await startUpstream((_req, res) => void res.writeHead(500).end()));
  const test = stack.use(
    await startGateway({
      services: {
        '/up': [up],
        '/hanging': [hanging],
        '/garbage': [garbage],
        '/failing': [failing],
        '/refusing': [refusedUrl()],
        '/empty': [],
      },
      env: { PER_SERVICE_LIMIT: '2', GLOBAL_CONCURRENCY: '3', SERVICE_DISCOVERY_URL: NOBODY, ...env },
      clock,
    }),
  );
  const token = tokenFor('ann');
  return {
    test,
    gateway: test.gateway,
    clock,
    ask: (port, path, method = 'GET', fields = {}) =>
      fetch(`${port === 'external' ? test.external : `${test.internal}/internal`}${path}`, {
        method,
        headers: { ...bearer(token), ...fields },
      }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** `count` requests of the external port that are under way at their service. */
async function occupy({ ask, test }: World, path: string, count: number): Promise<Promise<unknown>[]> {
  // A path each: who asks for the same waits for the other's answer.
  const answers = Array.from({ length: count }, (_, n) =>
    ask('external', `${path}/${n}`).catch(() => undefined),
  );
  await underWay(test, count);
  return answers;
}

async function underWay(test: TestGateway, count: number): Promise<void> {
  await eventually(
    `${count} requests under way`,
    async () => (await test.metric('gateway_lb_instance_in_flight')) >= count,
  );
}

interface Scenario {
  readonly code: ProblemCode;
  readonly ports?: readonly Port[];
  readonly retryAfter?: number;
  readonly env?: Record<string, string>;
  /** Makes the gateway reply with `code`. */
  provoke(world: World, port: Port, method: string): Promise<Response>;
}

const EXTERNAL = ['external'] as const;

const scenarios: readonly Scenario[] = [
  { code: 'bad_request', provoke: ({ ask }, port, method) => ask(port, '/up/a%5cb', method) },
  { code: 'no_such_service', provoke: ({ ask }, port, method) => ask(port, '/nobody/x', method) },
  {
    code: 'token_missing',
    ports: EXTERNAL,
    provoke: ({ test }, _port, method) => fetch(`${test.external}/up/x`, { method }),
  },
  {
    code: 'token_invalid',
    ports: EXTERNAL,
    provoke: ({ test }, _port, method) =>
      fetch(`${test.external}/up/x`, { method, headers: bearer('not.a.token') }),
  },
  {
    code: 'token_expired',
    ports: EXTERNAL,
    provoke: ({ test }, _port, method) =>
      fetch(`${test.external}/up/x`, { method, headers: bearer(tokenFor('ann', { exp: 1_000 })) }),
  },
  {
    code: 'token_revoked',
    ports: EXTERNAL,
    async provoke({ test, gateway }, _port, method) {
      const token = tokenFor('ann');
      const { authenticator } = gateway.parts;
      await authenticator.revoke(await authenticator.authenticate(token));
      return fetch(`${test.external}/up/x`, { method, headers: bearer(token) });
    },
  },
  { code: 'uri_too_long', provoke: ({ ask }, port, method) => ask(port, `/up/${'x'.repeat(8192)}`, method) },
  {
    code: 'service_busy',
    ports: EXTERNAL,
    async provoke(world, port, method) {
      await occupy(world, '/hanging/x', 2);
      return world.ask(port, '/hanging/x', method);
    },
  },
  {
    code: 'gateway_busy',
    ports: EXTERNAL,
    env: { GLOBAL_CONCURRENCY: '2' },
    async provoke(world, port, method) {
      await occupy(world, '/hanging/x', 2);
      return world.ask(port, '/up/x', method);
    },
  },
  {
    code: 'internal_error',
    provoke({ ask, gateway }, port, method) {
      failUnexpectedly(gateway);
      return ask(port, '/up/x', method);
    },
  },
  { code: 'upstream_unreachable', provoke: ({ ask }, port, method) => ask(port, '/refusing/x', method) },
  { code: 'upstream_bad_response', provoke: ({ ask }, port, method) => ask(port, '/garbage/x', method) },
  {
    code: 'circuit_open',
    // The cooldown of 30 s less 600 ms, rounded up.
    retryAfter: 30,
    async provoke({ ask, clock }, port, method) {
      for (let failures = 0; failures < 3; failures += 1) await ask(port, '/failing/x');
      clock.advance(600);
      return ask(port, '/failing/x', method);
    },
  },
  {
    code: 'no_healthy_replica',
    retryAfter: 5,
    provoke: ({ ask }, port, method) => ask(port, '/empty/x', method),
  },
  {
    code: 'store_unavailable',
    ports: EXTERNAL,
    async provoke({ ask, gateway }, port, method) {
      await gateway.parts.stores.close();
      return ask(port, '/up/x', method);
    },
  },
  {
    code: 'draining',
    async provoke({ ask, test, gateway, clock }, port, method) {
      const answer = ask(port, '/hanging/x', method);
      await underWay(test, 1);
      gateway.stop();
      clock.advance(gateway.parts.settings.drainTimeoutMs);
      return answer;
    },
  },
  {
    code: 'not_cached',
    ports: EXTERNAL,
    provoke: ({ ask }, port, method) => ask(port, '/up/x', method, { 'Cache-Control': 'only-if-cached' }),
  },
  {
    code: 'request_timeout',
    async provoke({ ask, test, clock }, port, method) {
      const answer = ask(port, '/hanging/x', method);
      await underWay(test, 1);
      clock.advance(REQUEST_TIMEOUT_MS);
      return answer;
    },
  },
];

/** An error that nobody foresaw, with a cause. */
function failUnexpectedly({ parts }: Gateway): void {
  for (const { replicas } of parts.services) {
    replicas.pool.take = () => {
      throw new Error('the balancer is broken', { cause: new Error('a wrong index') });
    };
  }
}

const cases = scenarios.flatMap((scenario) =>
  (scenario.ports ?? PORTS).map((port) => [scenario.code, port, scenario] as const),
);

describe('every reply that the gateway makes itself', () => {
  it.each(cases)('%s on the %s port says all that the design promises', async (code, port, scenario) => {
    await using world = await startWorld(scenario.env);
    const answer = await scenario.provoke(world, port, 'GET');
    await expectProblem(answer, code, scenario);
    expect(await world.test.metric('gateway_errors_total', { code, port })).toBe(1);
    const requestId = answer.headers.get('X-Request-Id');
    const lines = await eventually('its access line', () => {
      const found = world.test.logLines().filter((line) => line.requestId === requestId && line.status);
      return found.length > 0 && found;
    });
    expect(lines).toEqual([expect.objectContaining({ level: 'info', port, code, status: TABLE[code][0] })]);
  });

  it.each(cases)('%s on the %s port has no body for HEAD', async (code, port, scenario) => {
    await using world = await startWorld(scenario.env);
    const answer = await scenario.provoke(world, port, 'HEAD');
    expect(answer.status).toBe(TABLE[code][0]);
    expect(await answer.text()).toBe('');
    expect(answer.headers.get('Proxy-Status')).toContain(`details="${code}"`);
  });
});

describe('an error that nobody foresaw', () => {
  it('is logged once, with its cause, under the request id', async () => {
    await using world = await startWorld();
    failUnexpectedly(world.gateway);
    const answer = await world.ask('internal', '/up/x');
    const requestId = answer.headers.get('X-Request-Id');
    const lines = world.test.logLines().filter((line) => line.level === 'error');
    expect(lines).toEqual([expect.objectContaining({ message: 'Unexpected error', requestId })]);
    expect(JSON.stringify(lines)).toContain('the balancer is broken');
    expect(JSON.stringify(lines)).toContain('a wrong index');
  });

  it('leaves the gateway able to answer the next request', async () => {
    await using world = await startWorld();
    const { pool } = world.gateway.parts.services[0]?.replicas ?? {};
    failUnexpectedly(world.gateway);
    await world.ask('internal', '/up/x');
    Reflect.deleteProperty(pool ?? {}, 'take');
    expect((await world.ask('internal', '/up/x')).status).toBe(200);
  });
});

describe.each(PORTS)('content that is too large, on the %s port', (port) => {
  const env = { MAX_BODY_BYTES: '1000' };
  const post = async (world: World, ...rest: string[]): Promise<RawResponse> => {
    const [fields, body] = [rest.slice(0, -1), rest.at(-1)];
    const path = port === 'external' ? '/up/x' : '/internal/up/x';
    const authorization = `Authorization: Bearer ${tokenFor('ann')}`;
    return sendRaw(world.test[port], `${request(`POST ${path}`, authorization, ...fields)}${body}`);
  };

  it('is refused by its Content-Length, before any of it was sent', async () => {
    await using world = await startWorld(env);
    await expectProblem(await post(world, 'Content-Length: 1001', ''), 'body_too_large');
  });

  it('is refused by counting, when it comes in chunks', async () => {
    await using world = await startWorld(env);
    const chunk = `1f4\r\n${'x'.repeat(500)}\r\n`;
    const answer = await post(world, 'Transfer-Encoding: chunked', `${chunk}${chunk}${chunk}0\r\n\r\n`);
    await expectProblem(answer, 'body_too_large');
  });

  it('is let through up to the last byte', async () => {
    await using world = await startWorld(env);
    const body = 'x'.repeat(1000);
    expect((await post(world, 'Content-Length: 1000', body)).status).toBe(200);
    expect((await post(world, 'Transfer-Encoding: chunked', `3e8\r\n${body}\r\n0\r\n\r\n`)).status).toBe(200);
  });

  it('says nothing about the replica', async () => {
    await using world = await startWorld(env);
    for (let n = 0; n < 4; n += 1) await post(world, 'Content-Length: 1001', '');
    expect(await world.test.metric('gateway_circuit_breaker_failures_total')).toBe(0);
    expect((await world.ask(port, '/up/x')).status).toBe(200);
  });
});

it('has no scenario missing', async () => {
  const tested = new Set(scenarios.map(({ code }) => code));
  const elsewhere = [
    'upload_stalled',
    'body_too_large',
    'headers_too_large',
    'upstream_head_too_large',
    'method_not_allowed',
    'method_not_implemented',
    'fair_share_used',
    'streams_busy',
    'upgrades_busy',
    'rate_limited',
    'tls_required',
    'upstream_certificate_invalid',
    'upstream_tls_alert',
    'upstream_tls_failed',
    'keys_unavailable',
    'admin_token_wrong',
    'admin_guesses_limited',
    'bad_revocation',
    'cross_site',
    'foreign_host',
    'origin_not_allowed',
    'address_refused',
    'insufficient_scope',
    'no_such_revocation',
    'too_many_revocations',
    // In tests/integration/apikeys, and the last one in tests/lib/apikeys.
    'api_key_missing',
    'api_key_invalid',
    'api_key_expired',
    'api_key_revoked',
    'no_such_api_key',
    'api_key_conflict',
    'too_many_api_keys',
  ];
  expect([...tested, ...elsewhere].sort()).toEqual(Object.keys(TABLE).sort());
});
