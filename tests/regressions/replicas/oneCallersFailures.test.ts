import { randomUUID } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { registryApp } from '../../../playground/registry/app.ts';
import { Replicas } from '../../../playground/registry/replicas.ts';
import { RawClient, request } from '../../support/clients/rawClient.ts';
import { bearer, startGateway, type TestGateway, tokenFor } from '../../support/gateway/gateway.ts';
import { startGatewayProcess } from '../../support/gateway/gatewayProcess.ts';
import { ManualClock } from '../../support/manualClock.ts';
import { instanceOf } from '../../support/upstreams/instance.ts';
import {
  type RawBehaviour,
  refusedUrl,
  says,
  saysAndResets,
  startRawUpstream,
  startUpstream,
  type Upstream,
} from '../../support/upstreams/upstream.ts';

const SERVICE = '/budgeting';
const [CLOSED, OPEN] = [0, 1];
/** No response at all, or not the whole of one. */
const CUT = 0;
const ANN = bearer(tokenFor('ann'));
const BEN = bearer(tokenFor('ben'));

/** Fails under /bad and works elsewhere. Nothing of it is stored. */
function startMixed(): Promise<Upstream> {
  return startUpstream((req, res) => {
    res.writeHead(req.url?.startsWith('/bad') ? 500 : 200, { 'Cache-Control': 'no-store' }).end('ok');
  });
}

/** Fails for everybody, whatever is asked. */
function startBroken(): Promise<Upstream> {
  return startUpstream((_req, res) => void res.writeHead(500).end());
}

const ask = async ({ external }: TestGateway, path: string, headers: Record<string, string>) =>
  (await fetch(`${external}${SERVICE}${path}`, { headers })).status;

const state = (gateway: TestGateway, replica: Upstream, among = [replica]) =>
  gateway.metric('gateway_circuit_breaker_state', {
    service: SERVICE,
    instance: instanceOf(replica, among),
  });

describe("one user's failing requests", () => {
  it('three among three hundred good ones take the only replica from nobody', async () => {
    await using upstream = await startMixed();
    await using gateway = await startGateway({
      services: { [SERVICE]: [upstream] },
      clock: new ManualClock(),
    });
    for (let n = 0; n < 300; n += 1) expect(await ask(gateway, `/good/${n}`, ANN)).toBe(200);
    for (let n = 0; n < 3; n += 1) expect(await ask(gateway, '/bad', ANN)).toBe(500);
    expect(await state(gateway, upstream)).toBe(CLOSED);
    expect(await ask(gateway, '/good', BEN)).toBe(200);
    expect(gateway.logLines().map(({ message }) => message)).toContain(
      `🔔 Circuit Breaker: Service ${upstream.url.origin} failure 3/3 (window: 10.50 seconds), stays closed: 3 of 303 calls failed`,
    );
  });

  it('nineteen in 65 s over three replicas fail nobody else, here or at a second gateway', async () => {
    const clock = new ManualClock();
    const known = new Replicas();
    await using registry = await startUpstream(
      registryApp(known, { form: 'document', countsIncrements: true }),
      { readsBody: false },
    );
    await using stack = new AsyncDisposableStack();
    const replicas: Upstream[] = [];
    for (let n = 0; n < 3; n += 1) replicas.push(stack.use(await startMixed()));
    const options = {
      services: { [SERVICE]: replicas },
      store: 'redis',
      clock,
      env: { SERVICE_DISCOVERY_URL: registry.url.origin },
    } as const;
    const here = stack.use(await startGateway(options));
    const there = stack.use(await startGateway(options));
    const statuses: number[] = [];
    for (let n = 0; n < 19; n += 1) {
      await ask(here, '/bad', ANN);
      for (let m = 0; m < 4; m += 1) statuses.push(await ask(here, `/good/${n}/${m}`, BEN));
      clock.advance(65_000 / 19);
    }
    for (const gateway of [here, there]) {
      for (const replica of replicas) expect(await state(gateway, replica, replicas)).toBe(CLOSED);
    }
    expect(statuses.filter((status) => status !== 200)).toEqual([]);
    expect(registry.requests.filter(({ method }) => method === 'DELETE')).toEqual([]);
  });

  it.each(['1', '2'])(
    'five slow POSTs make no replica absent while another user is served, WORKERS=%s',
    async (WORKERS) => {
      await using stack = new AsyncDisposableStack();
      const replicas: Upstream[] = [];
      for (let n = 0; n < 3; n += 1) {
        // No response to what is slow.
        const replica = await startUpstream(
          (req, res) => void (req.url?.startsWith('/slow') || res.end('ok')),
        );
        replicas.push(stack.use(replica));
      }
      const gateway = stack.use(
        await startGatewayProcess({
          services: { [SERVICE]: { upstreams: replicas, requestTimeout: '300ms' } },
          env: { WORKERS },
        }),
      );
      const slow = async () => {
        for (let n = 0; n < 4; n += 1) {
          const { status } = await fetch(`${gateway.external}${SERVICE}/slow`, {
            method: 'POST',
            headers: ANN,
          });
          expect(status).toBe(504);
        }
      };
      let isOver = false;
      const attack = Promise.all(Array.from({ length: 5 }, slow)).finally(() => {
        isOver = true;
      });
      while (!isOver) {
        const { status } = await fetch(`${gateway.external}${SERVICE}/${randomUUID()}`, { headers: BEN });
        expect(status).toBe(200);
      }
      await attack;
      const metrics = await (await fetch(`${gateway.internal}/metrics`)).text();
      const open = metrics.match(/^gateway_circuit_breaker_state\{.*\} 1$/gm) ?? [];
      // One of three may be open for bad responses.
      expect(open.length).toBeLessThanOrEqual(1);
    },
  );

  it('trip a replica that serves nobody else, and leave its trial to others', async () => {
    const clock = new ManualClock();
    await using upstream = await startMixed();
    await using gateway = await startGateway({ services: { [SERVICE]: [upstream] }, clock });
    for (let n = 0; n < 3; n += 1) await ask(gateway, '/bad', ANN);
    expect(await state(gateway, upstream)).toBe(OPEN);
    clock.advance(30_000);
    // The attacker comes first each time.
    expect(await ask(gateway, '/bad', ANN)).toBe(500);
    expect(await ask(gateway, '/bad', ANN)).toBe(503);
    expect(await ask(gateway, '/good', BEN)).toBe(200);
    expect(await state(gateway, upstream)).toBe(CLOSED);
    for (let n = 0; n < 10; n += 1) await ask(gateway, '/bad', ANN);
    expect(await ask(gateway, '/good', BEN)).toBe(200);
  });
});

describe('what no replica is to blame for', () => {
  const setCookie = `Set-Cookie: a=${'x'.repeat(100 * 1024)}`;
  const flood = 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(101);
  const UPGRADE = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
  const upload = ['Content-Length: 1000000'];
  const cases: [what: string, method: string, fields: string[], behaviour: RawBehaviour, status: number][] = [
    ['501 to PROPFIND', 'PROPFIND', [], says('HTTP/1.1 501 No\r\nContent-Length: 0\r\n\r\n'), 501],
    [
      'an upgrade refused with 500',
      'GET',
      UPGRADE,
      says('HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n'),
      500,
    ],
    ['an upgrade that is ignored', 'GET', UPGRADE, says('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'), 200],
    [
      '100 KiB of Set-Cookie',
      'GET',
      [],
      says(`HTTP/1.1 200 OK\r\n${setCookie}\r\nContent-Length: 0\r\n\r\n`),
      502,
    ],
    [
      '100 KiB of Set-Cookie beside an upgrade',
      'GET',
      UPGRADE,
      says(`HTTP/1.1 403 No\r\n${setCookie}\r\n\r\n`),
      502,
    ],
    [
      'a flood of interim responses',
      'GET',
      [],
      says(`${flood}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n`),
      502,
    ],
    [
      'an upload that the service cuts after its response began',
      'POST',
      upload,
      saysAndResets('HTTP/1.1 413 No\r\nContent-Length: 100\r\n\r\nbig'),
      CUT,
    ],
  ];

  it.each(cases)('%s opens no breaker', async (_what, method, fields, behaviour, status) => {
    await using upstream = await startRawUpstream(behaviour);
    await using gateway = await startGateway({
      services: { [SERVICE]: [upstream] },
      clock: new ManualClock(),
    });
    for (let n = 0; n < 5; n += 1) {
      using client = await RawClient.to(gateway.internal);
      const isUpgrade = fields === UPGRADE;
      const ends = isUpgrade ? ['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='] : [];
      client.send(request(`${method} /internal${SERVICE}/x`, ...fields, ...ends));
      // Only a part of what was announced.
      if (fields === upload) client.send('x'.repeat(1000));
      await client.closed();
      if (status !== CUT) expect(client.received).toContain(`HTTP/1.1 ${status}`);
    }
    expect(await gateway.metric('gateway_circuit_breaker_failures_total')).toBe(0);
    expect(await state(gateway, upstream)).toBe(CLOSED);
  });
});

describe('replicas that all respond badly', () => {
  it('are kept away by half at most, and the rest is reported', async () => {
    await using one = await startBroken();
    await using another = await startBroken();
    await using third = await startBroken();
    const replicas = [one, another, third];
    await using gateway = await startGateway({
      services: { [SERVICE]: replicas },
      clock: new ManualClock(),
    });
    for (let n = 0; n < 30; n += 1) expect(await ask(gateway, '/x', n % 2 === 0 ? ANN : BEN)).toBe(500);
    const states = await Promise.all(replicas.map((replica) => state(gateway, replica, replicas)));
    expect(states.toSorted()).toEqual([CLOSED, CLOSED, OPEN]);
    expect(await gateway.metric('gateway_circuit_breaker_held_total')).toBeGreaterThan(2);
    const held = gateway
      .logLines()
      .filter(({ message }) => String(message).includes('keeps failing and stays closed'));
    expect(held).toHaveLength(1);
  });

  it('but not when they are absent', async () => {
    await using gateway = await startGateway({
      services: { [SERVICE]: [refusedUrl(), 'http://127.0.0.2:1', 'http://127.0.0.3:1'] },
      clock: new ManualClock(),
    });
    for (let n = 0; n < 12; n += 1) await ask(gateway, '/x', ANN);
    expect(await ask(gateway, '/x', BEN)).toBe(503);
  });
});

describe('a service without breakers', () => {
  it.each(['off', false] as const)('is asked whatever happens: %s', async (breaker) => {
    await using broken = await startBroken();
    await using other = await startMixed();
    await using gateway = await startGateway({
      services: { [SERVICE]: { upstreams: [broken], breaker }, '/other': [other] },
      clock: new ManualClock(),
    });
    for (let n = 0; n < 5; n += 1) expect(await ask(gateway, '/x', ANN)).toBe(500);
    const metrics = await gateway.gateway.parts.metrics.registry.metrics();
    expect(metrics).not.toMatch(/^gateway_circuit_breaker_.*budgeting/m);
    expect(metrics).toMatch(/^gateway_circuit_breaker_state\{service="\/other"/m);
    expect(metrics).toMatch(/^gateway_lb_instance_load\{service="\/budgeting"/m);
  });
});
