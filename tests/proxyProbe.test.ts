import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { probe } from '../lib/proxy/probe.ts';
import { Transport } from '../lib/proxy/transport.ts';
import { eventually } from './support/eventually.ts';
import { ManualClock } from './support/manualClock.ts';
import { startReplicaProcess } from './support/replicaProcess.ts';
import {
  hangs,
  type RawBehaviour,
  refusedUrl,
  resets,
  says,
  saysAndCloses,
  startRawUpstream,
} from './support/upstream.ts';

const TIMEOUT_MS = 600;

describe('probe', () => {
  let transport: Transport;
  let clock: ManualClock;

  beforeEach(() => {
    transport = new Transport({ connectTimeoutMs: 5000 });
    clock = new ManualClock();
  });

  afterEach(async () => {
    expect(clock.pending).toBe(0);
    await transport.destroy();
  });

  const ask = (url: URL) => probe({ transport, url, path: '/health', timeoutMs: TIMEOUT_MS, clock });

  const signs: { name: string; service: RawBehaviour; alive: boolean }[] = [
    { name: '200', service: says('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'), alive: true },
    { name: '404', service: says('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'), alive: true },
    { name: '500', service: says('HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n'), alive: true },
    {
      name: 'an answer without end',
      service: says('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nb'),
      alive: true,
    },
    { name: 'what is no HTTP', service: says('EHLO gateway\r\n\r\n'), alive: false },
    { name: 'a closed connection', service: saysAndCloses(''), alive: false },
    { name: 'a reset', service: resets, alive: false },
  ];

  it.each(signs)('takes $name for alive: $alive', async ({ service, alive }) => {
    await using upstream = await startRawUpstream(service);
    expect(await ask(upstream.url)).toBe(alive);
    expect(upstream.requests.map(({ method, target }) => [method, target])).toEqual([['GET', '/health']]);
  });

  it('takes a refused connection for dead', async () => {
    expect(await ask(refusedUrl())).toBe(false);
  });

  it('waits until its time is over, and leaves no connection behind', async () => {
    await using upstream = await startRawUpstream(hangs);
    const asked = ask(upstream.url);
    await eventually('it is asked', () => upstream.requests.length === 1);
    clock.advance(TIMEOUT_MS - 1);
    expect(upstream.open).toBe(1);
    clock.advance(1);
    expect(await asked).toBe(false);
    await eventually('the connection is closed', () => upstream.open === 0);
  });

  it('gives up before it is connected', async () => {
    await using upstream = await startRawUpstream(hangs);
    const asked = ask(upstream.url);
    clock.advance(TIMEOUT_MS);
    expect(await asked).toBe(false);
    await eventually('the connection is closed', () => upstream.open === 0);
    expect(upstream.requests).toEqual([]);
  });

  it('tells a frozen process from one that has thawed', async () => {
    await using replica = await startReplicaProcess();
    expect(await ask(replica.url)).toBe(true);
    replica.freeze();
    const asked = ask(replica.url);
    // A connection to it opens as ever: nothing but time can tell.
    clock.advance(TIMEOUT_MS);
    expect(await asked).toBe(false);
    replica.thaw();
    expect(await ask(replica.url)).toBe(true);
  });

  it('takes what cannot be asked for dead', async () => {
    const url = refusedUrl();
    expect(await probe({ transport, url, path: 'no path', timeoutMs: TIMEOUT_MS, clock })).toBe(false);
  });
});
