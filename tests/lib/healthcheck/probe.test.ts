import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '../../../lib/clock/clock.ts';
import { type ProberOptions, prober } from '../../../lib/healthcheck/probe.ts';
import { makeCertificate } from '../../support/certificates.ts';
import { eventually } from '../../support/eventually.ts';
import { ManualClock } from '../../support/manualClock.ts';
import {
  hangs,
  type RawBehaviour,
  refusedUrl,
  resets,
  says,
  saysAndCloses,
  startRawUpstream,
  startUpstream,
  type Upstream,
} from '../../support/upstreams/upstream.ts';

const HEAD = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n';

function options(given: Partial<ProberOptions> = {}): ProberOptions {
  return {
    target: '/health',
    fields: ['User-Agent', 'probe/1'],
    timeoutMs: 3_000,
    statuses: [{ from: 200, to: 299 }],
    port: undefined,
    readBuffer: Buffer.alloc(64 * 1024),
    clock: systemClock,
    ...given,
  };
}

function outcomeAt(url: URL, given: Partial<ProberOptions> = {}) {
  return prober(options(given))(url).outcome;
}

describe('a probe', () => {
  const upstreams: Upstream[] = [];

  afterEach(async () => {
    for (const upstream of upstreams.splice(0)) await upstream[Symbol.asyncDispose]();
  });

  async function raw(behaviour: RawBehaviour): Promise<Upstream> {
    const upstream = await startRawUpstream(behaviour);
    upstreams.push(upstream);
    return upstream;
  }

  /** With a clock that is moved past the timeout once the replica has the request. */
  async function outcomeAfterTimeout(upstream: Upstream, lateMs = 0) {
    const clock = new ManualClock();
    const outcome = outcomeAt(upstream.url, { clock });
    await eventually('the request', () => upstream.requests.length === 1);
    clock.advance(2_999);
    const state = await Promise.race([outcome, 'open']);
    expect(state).toBe('open');
    if (lateMs > 0) delayTimers(clock, lateMs);
    else clock.advance(1);
    expect(clock.pending).toBe(0);
    return outcome;
  }

  /** The timers run when the clock stands much later than they were due. */
  function delayTimers(clock: ManualClock, lateMs: number): void {
    const ticks = clock.ticks.bind(clock);
    clock.ticks = () => ticks() + lateMs;
    clock.advance(1);
  }

  it('asks for the target with its fields, and passes by the status alone', async () => {
    const upstream = await raw(says(`${HEAD}\r\nok`));
    expect(await outcomeAt(upstream.url)).toEqual({ kind: 'passed', status: 200 });
    expect(upstream.requests).toMatchObject([
      {
        method: 'GET',
        target: '/health',
        fields: ['Host', upstream.url.host, 'User-Agent', 'probe/1', 'Connection', 'keep-alive'],
      },
    ]);
    await eventually('the connection to be closed', () => upstream.open === 0);
  });

  it('takes a connection of its own each time', async () => {
    const upstream = await raw(says(`${HEAD}\r\nok`));
    const ask = prober(options());
    await ask(upstream.url).outcome;
    await ask(upstream.url).outcome;
    expect(upstream.requests.map(({ connection }) => connection)).toEqual([1, 2]);
  });

  it.each([
    [199 + 1, 'passed'],
    [299, 'passed'],
    [302, 'failed'],
    [404, 'failed'],
    [503, 'failed'],
  ])('status %d: %s', async (status, kind) => {
    const upstream = await startUpstream((_req, res) => res.writeHead(status, { Location: '/other' }).end());
    upstreams.push(upstream);
    expect(await outcomeAt(upstream.url)).toEqual(
      kind === 'passed' ? { kind, status } : { kind, why: 'status', status, text: `status ${status}` },
    );
    // No redirect is followed, and nothing is sent again.
    expect(upstream.requests).toHaveLength(1);
  });

  it('accepts the status codes that it is told', async () => {
    const upstream = await startUpstream((_req, res) => res.writeHead(302).end());
    upstreams.push(upstream);
    const statuses = [
      { from: 200, to: 200 },
      { from: 300, to: 399 },
    ];
    expect(await outcomeAt(upstream.url, { statuses })).toEqual({ kind: 'passed', status: 302 });
  });

  it('asks at another port', async () => {
    const upstream = await raw(says(`${HEAD}\r\nok`));
    const port = Number(upstream.url.port);
    expect(await outcomeAt(new URL('http://127.0.0.1:1'), { port })).toMatchObject({ kind: 'passed' });
    expect(upstream.requests[0]?.fields).toContain(upstream.url.host);
  });

  it.each<[string, RawBehaviour]>([
    ['says nothing', hangs],
    ['sends its head byte by byte and never ends it', says('HTTP/1.1 200 O')],
    ['only sends interim responses', says('HTTP/1.1 102 Processing\r\n\r\n')],
  ])('fails after the timeout if the replica %s', async (_what, behaviour) => {
    const upstream = await raw(behaviour);
    const failed = { kind: 'failed', why: 'timeout', text: 'no response within 3000 ms' };
    expect(await outcomeAfterTimeout(upstream)).toEqual(failed);
    await eventually('the connection to be closed', () => upstream.open === 0);
  });

  it('passes by its head if the content never ends', async () => {
    const upstream = await raw(says('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nslow'));
    expect(await outcomeAfterTimeout(upstream)).toEqual({ kind: 'passed', status: 200 });
    await eventually('the connection to be closed', () => upstream.open === 0);
  });

  it('says nothing of the replica if this process stood still', async () => {
    const upstream = await raw(hangs);
    expect(await outcomeAfterTimeout(upstream, 5_000)).toMatchObject({
      kind: 'unknown',
      text: 'the gateway itself stood still for 5000 ms',
    });
  });

  it('reads a little of 10 GiB', async () => {
    let sent = 0;
    const upstream = await raw((socket) => {
      const chunk = Buffer.alloc(64 * 1024);
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${10 * 2 ** 30}\r\n\r\n`);
      const send = () => {
        while (!socket.destroyed && socket.write(chunk)) sent += chunk.length;
      };
      socket.on('drain', send);
      send();
    });
    expect(await outcomeAt(upstream.url)).toEqual({ kind: 'passed', status: 200 });
    await eventually('the connection to be closed', () => upstream.open === 0);
    expect(sent).toBeLessThan(64 * 2 ** 20);
  });

  it.each<[string, RawBehaviour, string]>([
    ['resets', resets, 'broken'],
    ['closes without a word', (socket) => void socket.end(), 'broken'],
    ['speaks no HTTP', saysAndCloses('SSH-2.0-OpenSSH_9.7\r\n'), 'broken'],
    ['sends a head of 100 KiB', says(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100 * 1024)}\r\n\r\n`), 'broken'],
  ])('fails if the replica %s', async (_what, behaviour, why) => {
    const upstream = await raw(behaviour);
    expect(await outcomeAt(upstream.url)).toMatchObject({ kind: 'failed', why });
  });

  it('fails if nobody listens, or the name does not exist', async () => {
    expect(await outcomeAt(refusedUrl())).toMatchObject({ kind: 'failed', why: 'unreachable' });
    const lookup: ProberOptions['lookup'] = (_host, _options, done) =>
      done(Object.assign(new Error('getaddrinfo ENOTFOUND gone'), { code: 'ENOTFOUND' }), '', 4);
    const gone = await outcomeAt(new URL('http://gone'), { lookup });
    expect(gone).toMatchObject({ kind: 'failed', why: 'unreachable', text: 'getaddrinfo ENOTFOUND gone' });
  });

  it('says nothing of the replica if this process has no descriptors left', async () => {
    const lookup: ProberOptions['lookup'] = (_host, _options, done) =>
      done(Object.assign(new Error('connect EMFILE'), { code: 'EMFILE' }), '', 4);
    const outcome = await outcomeAt(new URL('http://somewhere'), { lookup });
    expect(outcome).toEqual({ kind: 'unknown', text: 'connect EMFILE' });
  });

  it('goes where the name leads at that time', async () => {
    const upstream = await raw(says(`${HEAD}\r\nok`));
    let address = '127.0.0.1';
    const lookup: ProberOptions['lookup'] = (_host, _options, done) => done(null, [{ address, family: 4 }]);
    const ask = prober(options({ lookup, port: Number(upstream.url.port) }));
    expect(await ask(new URL('http://moves')).outcome).toMatchObject({ kind: 'passed' });
    address = '127.0.0.99';
    expect(await ask(new URL('http://moves')).outcome).toMatchObject({ why: 'unreachable' });
  });

  it('meets the certificate of the service', async () => {
    const server = createTlsServer(makeCertificate('unknown authority'), (_req, res) => void res.end('ok'));
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const outcome = await outcomeAt(new URL(`https://127.0.0.1:${port}`));
    expect(outcome).toMatchObject({
      kind: 'failed',
      why: 'unreachable',
      text: expect.stringContaining('its certificate signs itself'),
    });
    await new Promise((resolve) => server.close(resolve));
  });

  it('can be called off, and leaves no timer and no connection', async () => {
    const upstream = await raw(hangs);
    const clock = new ManualClock();
    const probe = prober(options({ clock }))(upstream.url);
    await eventually('the request', () => upstream.requests.length === 1);
    probe.cancel();
    probe.cancel();
    expect(await probe.outcome).toMatchObject({ kind: 'unknown' });
    expect(clock.pending).toBe(0);
    await eventually('the connection to be closed', () => upstream.open === 0);
  });
});
