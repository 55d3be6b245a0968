import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { loadSettings } from '../../../config/config.ts';
import { Gateway } from '../../../gateway/gateway.ts';
import { RawClient, request } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { PORTS, type Port } from '../../support/gateway/gatewayProcess.ts';
import { underWay } from '../../support/gateway/nothingHeld.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { hangs, startRawUpstream, startUpstream } from '../../support/upstreams/upstream.ts';

const DRAIN_TIMEOUT_MS = 2_000;
const KEEP_ALIVE = 'Connection: keep-alive';

const authorization = `Authorization: ${bearer(tokenFor('ann')).Authorization}`;

function ask(port: Port, method: string, path: string, ...fields: readonly string[]): string {
  return request(`${method} ${port === 'external' ? '' : '/internal'}${path}`, authorization, ...fields);
}

const HANDSHAKE = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];

describe.each(PORTS)('stopping, on the %s port', (port) => {
  let stack: AsyncDisposableStack;
  let test: TestGateway;
  let clock: ManualClock;
  /** Ends the answers of `/slow` that were begun or are awaited. */
  let finish: () => void;
  /** Waits until that service has been asked this often. */
  let asked: (count: number) => Promise<unknown>;

  beforeEach(async () => {
    stack = new AsyncDisposableStack();
    clock = new ManualClock();
    const endings: (() => void)[] = [];
    finish = () => {
      for (const end of endings.splice(0)) end();
    };
    asked = (count) => eventually(`${count} requests at the service`, () => endings.length === count);
    const slow = await startUpstream((req, res) => {
      if (req.url === '/begun') res.write('begun ');
      endings.push(() => res.end('done'));
    });
    stack.use(slow);
    const hanging = stack.use(await startRawUpstream(hangs));
    test = stack.use(await startGateway({ services: { '/slow': [slow], '/hanging': [hanging] }, clock }));
  });
  afterEach(() => stack.disposeAsync());

  async function send(text: string): Promise<RawClient> {
    const client = stack.use(await RawClient.to(test[port]));
    client.send(text);
    return client;
  }

  it('hears a request out that was half sent: /readyz says 503, and the connection closes', async () => {
    const working = await send(ask(port, 'GET', '/slow/x'));
    await asked(1);
    const whole = request('GET /readyz', KEEP_ALIVE);
    const halfSent = await send(whole.slice(0, 10));
    // Connections are read in turn: with this one answered, the gateway has the ten bytes before.
    await (await send(request('GET /healthz'))).answer();
    const stopped = test.gateway.stop();
    halfSent.send(whole.slice(10));
    const answer = await halfSent.answer();
    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.body)).toEqual({ status: 'not ready', missing: ['draining'] });
    expect(answer.field('Connection')).toBe('close');
    await halfSent.closed();
    finish();
    expect((await working.answer()).status).toBe(200);
    await stopped;
  });

  it('serves what came behind a response that was begun', async () => {
    const both = ask(port, 'GET', '/slow/begun', KEEP_ALIVE) + ask(port, 'GET', '/slow/x', KEEP_ALIVE);
    const client = await send(both);
    await asked(2);
    await eventually('the answer has begun', () => client.received.includes('begun'));
    const stopped = test.gateway.stop();
    finish();
    await client.closed();
    expect(client.received.match(/done/g)).toHaveLength(2);
    await stopped;
  });

  it('out of time, answers 503 to an upload that has not ended', async () => {
    const client = await send(`${ask(port, 'POST', '/hanging/x', 'Content-Length: 9')}half`);
    await underWay(test, 1);
    const stopped = test.gateway.stop();
    clock.advance(DRAIN_TIMEOUT_MS);
    await expectProblem(await client.answer('POST'), 'draining');
    await stopped;
  });

  it('out of time, answers 503 to a handshake that has no response', async () => {
    const client = await send(ask(port, 'GET', '/hanging/x', ...HANDSHAKE));
    await underWay(test, 1);
    const stopped = test.gateway.stop();
    clock.advance(DRAIN_TIMEOUT_MS);
    await expectProblem(await client.answer(), 'draining');
    await stopped;
    expect(await test.metric('gateway_circuit_breaker_failures_total')).toBe(0);
  });
});

describe('a gateway that is stopped', () => {
  async function create(clock = new ManualClock()): Promise<Gateway> {
    await using test = await startGateway({ services: { '/up': [] }, clock });
    const { logger } = test.gateway.parts;
    const { services, ...rest } = test.gateway.parts.settings;
    const settings = loadSettings({ JWT_SECRET: rest.jwtSecret, EXTERNAL_PORT: '0', INTERNAL_PORT: '0' });
    return Gateway.create({ settings: { ...settings, ...rest, services }, logger, clock });
  }

  it('while it starts does not listen afterwards', async () => {
    const gateway = await create();
    const started = gateway.start();
    const stopped = gateway.stop();
    await expect(started).rejects.toThrow('ECANCELED');
    await stopped;
  });

  it('before it starts does not start', async () => {
    const gateway = await create();
    await gateway.stop();
    await expect(gateway.start()).rejects.toThrow('ECANCELED');
  });
});
